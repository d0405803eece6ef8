import { appendFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'
import { usedHeap } from '../collected-heap.ts'
import type { MemorySample } from './memory-samples.ts'

// Loaded into a process of the platform before everything else (`node --import`): writes down what it uses, from time to time.

const file = process.env['TAPELINE_TEST_SAMPLES']
const everyMs = Number(process.env['TAPELINE_TEST_SAMPLE_MS'])

if (isMainThread && file !== undefined) {
  let probing = 0
  setInterval(async () => {
    const cpu = cpuSeconds() - probing
    const heap = await usedHeap()
    const { rss, external } = process.memoryUsage()
    const handles = process.getActiveResourcesInfo().length
    const sample: MemorySample = { at: process.uptime(), cpu, heap, rss, external, handles }
    appendFileSync(file, `${JSON.stringify(sample)}\n`)
    probing = cpuSeconds() - cpu
  }, everyMs).unref()
}

/** Of all threads of the process. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
