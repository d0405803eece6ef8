import { appendFileSync } from 'node:fs'
import { getHeapSpaceStatistics, writeHeapSnapshot } from 'node:v8'
import { isMainThread } from 'node:worker_threads'
import { usedHeap } from '../collected-heap.ts'
import type { MemorySample } from './memory-samples.ts'

// Loaded into a process of the platform before everything else (`node --import`): writes down what it uses, from time to time.

const file = process.env['TAPELINE_TEST_SAMPLES']
const everyMs = Number(process.env['TAPELINE_TEST_SAMPLE_MS'])
const snapshots = process.env['TAPELINE_TEST_SNAPSHOTS']
/** In seconds since the start of the process. */
const snapshotsAt = (process.env['TAPELINE_TEST_SNAPSHOTS_AT'] ?? '').split(',').map(Number)

/** Of bytecode and of compiled functions. */
function codeBytes(): number {
  return getHeapSpaceStatistics()
    .filter(({ space_name: name }) => name.startsWith('code') || name.startsWith('trusted'))
    .reduce((sum, { space_used_size: bytes }) => sum + bytes, 0)
}

if (isMainThread && file !== undefined) {
  let probing = 0
  setInterval(async () => {
    const cpu = cpuSeconds() - probing
    const used = await usedHeap()
    const { rss, external, heapTotal: reserved } = process.memoryUsage()
    const code = codeBytes()
    const handles = process.getActiveResourcesInfo().length
    const sample: MemorySample = {
      ...{ at: process.uptime(), cpu, heap: used - code, code, reserved },
      ...{ rss, external, handles },
    }
    appendFileSync(file, `${JSON.stringify(sample)}\n`)
    const [at] = snapshotsAt
    if (snapshots !== undefined && at !== undefined && sample.at >= at) {
      snapshotsAt.shift()
      writeHeapSnapshot(`${snapshots}-${Math.round(sample.at)}.heapsnapshot`)
    }
    probing = cpuSeconds() - cpu
  }, everyMs).unref()
}

/** Of all threads of the process. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
