import type { ControlBus } from './bus.ts'
import type { Registry } from './registry.ts'

/** When each lease was last read, by what all processes say in their heartbeats. */
export interface ReadTimes {
  /** In milliseconds since the epoch; undefined where nobody has read it since this process listens. */
  lastReadAt(leaseId: string): number | undefined
  /** Somebody reads it here now: a reader may come and go between two heartbeats. */
  note(leaseId: string): void
}

/** Follows the heartbeats. Only leases that exist are kept. */
export function followReadTimes(
  bus: Pick<ControlBus, 'on'>,
  registry: Pick<Registry, 'view' | 'watch'>,
  now: () => number = Date.now,
): ReadTimes {
  const times = new Map<string, number>()
  const note = (leaseId: string): void => {
    if (registry.view.leaseRecord(leaseId) !== undefined) times.set(leaseId, now())
  }
  bus.on('HEARTBEAT', ({ reading }) => reading.forEach(note))
  registry.watch((change) => {
    if (change.kind === 'ended') times.delete(change.leaseId)
  })
  return { lastReadAt: (leaseId) => times.get(leaseId), note }
}
