import type { ControlBus } from './bus.ts'
import type { Registry } from './registry.ts'

/** When each lease was last read, by what all processes say in their heartbeats. */
export interface ReadTimes {
  /** In milliseconds since the epoch; undefined where nobody has read it since this process listens. */
  lastReadAt(leaseId: string): number | undefined
}

/** Follows the heartbeats. Only leases that exist are kept. */
export function followReadTimes(
  bus: Pick<ControlBus, 'on'>,
  registry: Pick<Registry, 'view' | 'watch'>,
  now: () => number = Date.now,
): ReadTimes {
  const times = new Map<string, number>()
  bus.on('HEARTBEAT', ({ reading }) => {
    const moment = now()
    for (const id of reading) if (registry.view.leaseRecord(id) !== undefined) times.set(id, moment)
  })
  registry.watch((change) => {
    if (change.kind === 'ended') times.delete(change.leaseId)
  })
  return { lastReadAt: (leaseId) => times.get(leaseId) }
}
