import type { LeaseRecord } from '../../control/registry-records.ts'
import type { RegistryView } from '../../control/registry-view.ts'

/** A longer time between two looks counts as this long: nobody was watching in between. */
const LONGEST_LOOK_MS = 5_000

/** What runs out while the leader watches: leases that nobody reads, topics that no lease wants (R13). */
export interface LeaseClock {
  /**
   * Takes note of which leases have readers, and gives those whose time to live is over. No time passes while some process does not tell its
   * readers (undefined).
   */
  expired(read: Iterable<string> | undefined): readonly LeaseRecord[]
  /**
   * Streams whose last lease has been gone for the grace. `unwanted`: nobody wants them any more. `kept`: a lease has moved on from them, and they stay
   * until retention has passed.
   */
  abandoned(settings: { readonly graceMs: number; readonly retentionMs: number }): {
    readonly unwanted: readonly { readonly topicName: string; readonly streamId: string }[]
    readonly kept: readonly string[]
  }
  /** Begins anew: this process has not watched until now. */
  restart(): void
}

/**
 * Time runs here only while the leader looks. A leader that stood still for a minute has not heard of the readers of that minute, and must
 * not end their leases for it.
 */
export function createLeaseClock(view: RegistryView, now: () => number): LeaseClock {
  /** When a lease last had a reader, and since when a stream has had no lease: in time watched. */
  const lastRead = new Map<string, number>()
  const unleasedSince = new Map<string, number>()
  let watchedMs = 0
  let lookedAt = now()

  const look = (): number => {
    const moment = now()
    watchedMs += Math.min(LONGEST_LOOK_MS, Math.max(0, moment - lookedAt))
    lookedAt = moment
    return watchedMs
  }

  return {
    expired(read) {
      if (read === undefined) {
        lookedAt = now()
        return []
      }
      const moment = look()
      for (const id of read) lastRead.set(id, moment)
      const result: LeaseRecord[] = []
      for (const lease of view.leases()) {
        if (lease.ttlMs === 0) continue
        const since = lastRead.get(lease.id) ?? moment
        lastRead.set(lease.id, since)
        if (moment - since > lease.ttlMs) result.push(lease)
      }
      for (const id of lastRead.keys()) if (view.leaseRecord(id) === undefined) lastRead.delete(id)
      return result
    },
    abandoned({ graceMs, retentionMs }) {
      const moment = look()
      const unwanted: { topicName: string; streamId: string }[] = []
      const kept: string[] = []
      for (const { id, topic, state, keptAt = 0 } of view.streams()) {
        const use = view.leaseCount(id) > 0 ? 'leased' : view.formerUse(id)
        if (use === 'leased' || use === 'open') {
          unleasedSince.delete(id)
          continue
        }
        if (state === 'kept' && use === 'closed' && now() - keptAt < retentionMs) continue
        const since = unleasedSince.get(id) ?? moment
        unleasedSince.set(id, since)
        if (moment - since < graceMs) continue
        if (state === 'ready' && use === 'closed') kept.push(id)
        else unwanted.push({ topicName: topic, streamId: id })
      }
      for (const id of unleasedSince.keys()) if (view.stream(id) === undefined) unleasedSince.delete(id)
      return { unwanted, kept }
    },
    restart() {
      lastRead.clear()
      unleasedSince.clear()
      lookedAt = now()
    },
  }
}
