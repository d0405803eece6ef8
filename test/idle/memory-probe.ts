import { appendFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'
import { usedHeap } from '../collected-heap.ts'
import type { MemorySample } from './memory-samples.ts'

// Loaded into a process of the platform before everything else (`node --import`): writes down what it uses, from time to time.

const file = process.env['TAPELINE_TEST_SAMPLES']
const everyMs = Number(process.env['TAPELINE_TEST_SAMPLE_MS'])

if (isMainThread && file !== undefined) {
  setInterval(async () => {
    const heap = await usedHeap()
    const { rss, external } = process.memoryUsage()
    const handles = process.getActiveResourcesInfo().length
    const sample: MemorySample = { at: process.uptime(), heap, rss, external, handles }
    appendFileSync(file, `${JSON.stringify(sample)}\n`)
  }, everyMs).unref()
}
