import { type Config, loadConfig } from '../../src/config.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { startPlatform } from '../../src/topology.ts'
import { usedHeap } from '../../test/collected-heap.ts'
import { type ProfiledTime, profileMainThread } from './profile.ts'

/** What a process has used so far. */
export interface Usage {
  /** Of the main thread, once all garbage has gone. */
  readonly heapBytes: number
  /** Of all its threads, with what their memory is not full of. */
  readonly rssBytes: number
  readonly cpuMicros: number
  /** Since the profile before: 0 at first. */
  readonly profiled: ProfiledTime
}

/** What the process says: where it serves, then an answer to each question. */
export type Said = { readonly api: string } | { readonly usage: Usage }

/** What is asked. Memory takes a moment, since garbage goes first; a profile begins, and tells what it found since the one before. */
export type Question = 'memory' | 'cpu' | 'profile'

const signal = AbortSignal.timeout(7_200_000)
const NOTHING: ProfiledTime = { machineMicros: 0, busyMicros: 0, samples: 0 }

// The program of a forked process: its argument is the configuration.
const flags = JSON.parse(process.argv[2] ?? '{}') as Partial<Config>
const say = (said: Said): void => {
  process.send?.(said)
}
await startPlatform(
  loadConfig({ environment: {}, flags }),
  { log: createLog({ level: 'warn', pretty: false }), onServing: async (api) => say({ api }) },
  signal,
)
let endProfile: (() => Promise<ProfiledTime>) | undefined
process.on('message', async (question: Question) => {
  const heapBytes = question === 'memory' ? await usedHeap() : 0
  const { user, system } = process.cpuUsage()
  const cpuMicros = user + system
  const profiled = question === 'profile' ? ((await endProfile?.()) ?? NOTHING) : NOTHING
  if (question === 'profile') endProfile = await profileMainThread()
  say({ usage: { heapBytes, rssBytes: process.memoryUsage().rss, cpuMicros, profiled } })
})
process.on('disconnect', () => process.exit())
