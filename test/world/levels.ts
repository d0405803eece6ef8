import type { VirtualClock } from './clock.ts'
import type { MemoryBroker } from './memory-broker.ts'
import type { PlatformProcess } from './platform-process.ts'
import type { Violation } from './violations.ts'

/** What a process that is at rest may have open: a few readers, and timers for what it waits for. */
const MOST_READERS = 12
const MOST_TIMERS = 60

/** R3: `error` is never a dead end: every process has started, and no machine stands in it. */
export function checkActors(processes: readonly PlatformProcess[]): Violation[] {
  return processes.flatMap(({ host, running }): Violation[] => {
    if (running === undefined) return [{ promise: 'actor stuck', detail: `${host.name} has not started` }]
    return running.roster.list().flatMap(({ id, state, errorInfo }): Violation[] => {
      if (state !== 'error') return []
      return [
        { promise: 'actor stuck', detail: `${id} of ${host.name}: ${errorInfo?.code} ${errorInfo?.message}` },
      ]
    })
  })
}

/** R19: what is open has a bound. */
export function checkLevels(
  processes: readonly PlatformProcess[],
  broker: MemoryBroker,
  clock: VirtualClock,
): Violation[] {
  return processes.flatMap(({ host, running }): Violation[] => {
    const deaf = [...(running?.door?.sockets ?? [])].filter(({ isHeard }) => !isHeard).length
    const timers = clock.pending(host)
    const readers = [...broker.readers].filter((reader) => reader.host === host).length
    return [
      ...(timers > MOST_TIMERS
        ? [{ promise: 'leak', detail: `${host.name} has ${timers} timers` } as const]
        : []),
      ...(deaf > 0
        ? [
            {
              promise: 'leak',
              detail: `${host.name} keeps ${deaf} sockets of applications that are gone`,
            } as const,
          ]
        : []),
      ...(readers > MOST_READERS
        ? [{ promise: 'leak', detail: `${host.name} has ${readers} readers` } as const]
        : []),
    ]
  })
}
