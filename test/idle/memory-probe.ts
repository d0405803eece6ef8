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
const snapshotsAt = secondsOf('TAPELINE_TEST_SNAPSHOTS_AT')
/** The same: when garbage is collected, which the process else does as it would without us. */
const collectsAt = secondsOf('TAPELINE_TEST_COLLECTS_AT')

function secondsOf(name: string): number[] {
  return (process.env[name] ?? '').split(',').filter(Boolean).map(Number)
}

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
    const at = process.uptime()
    const { rss, external, heapTotal: reserved } = process.memoryUsage()
    const handles = process.getActiveResourcesInfo().length
    const usage = { at, cpu, reserved, rss, external, handles }
    const sample: MemorySample = isDue(collectsAt, at) ? { ...usage, ...(await collected()) } : usage
    appendFileSync(file, `${JSON.stringify(sample)}\n`)
    if (snapshots !== undefined && isDue(snapshotsAt, at))
      writeHeapSnapshot(`${snapshots}-${Math.round(at)}.heapsnapshot`)
    probing = cpuSeconds() - cpu
  }, everyMs).unref()
}

/** Takes those of its times that have come. */
function isDue(times: number[], at: number): boolean {
  const due = times.filter((time) => time <= at).length
  times.splice(0, due)
  return due > 0
}

async function collected(): Promise<Pick<MemorySample, 'heap' | 'code'>> {
  const used = await usedHeap()
  const code = codeBytes()
  return { heap: used - code, code }
}

/** Of all threads of the process. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
