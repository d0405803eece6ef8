import type { GapWatch } from './gap-watch.ts'
import type { Shard } from './shard.ts'

const DAY_MS = 86_400_000
/** A market without a trade for so long is forgotten. */
const QUIET_MS = 90 * DAY_MS

/**
 * Forgets markets that nobody trades any more, so that neither memory nor checkpoints grow with each market that ever was. It looks once a day,
 * and first a day after a take-over: until then it knows old trades that a source publishes anew.
 */
export function createQuietMarkets(
  shards: ReadonlyMap<number, Shard>,
  gaps: GapWatch,
  now: () => number,
): { forgetIfDue(): void } {
  const lookedAt = new WeakMap<Shard, number>()
  let nextAt = Number.NEGATIVE_INFINITY

  return {
    /** To be called while no window is ahead of what is acknowledged. */
    forgetIfDue() {
      const at = now()
      if (at < nextAt) return
      nextAt = at + DAY_MS / 24
      for (const shard of shards.values()) {
        const since = lookedAt.get(shard)
        if (since !== undefined && at - since < DAY_MS) continue
        lookedAt.set(shard, at)
        if (since !== undefined) shard.forgetMarkets((at - QUIET_MS) * 1000)
      }
      const known = [...shards.values()]
      gaps.forgetQuiet((market) => known.some(({ windows }) => windows.has(market)))
    },
  }
}
