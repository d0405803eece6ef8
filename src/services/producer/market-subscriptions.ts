import { marketKey, shardOf } from '../../domain/events.ts'
import type { Market, Source } from '../../ports/source.ts'

/** What the source is asked for: the markets of the shards that this process owns, and of no others. */
export interface MarketSubscriptions {
  /** The shard is owned: its markets are subscribed to, if they are not yet. */
  follow(k: number): void
  /** The shard was another process's meanwhile: its markets are subscribed to anew. Gives them. */
  renew(k: number): readonly Market[]
  /** The shard is another process's now: its markets are not asked for here any more. */
  leave(k: number): void
  /** Some markets are wanted as well, and others no more. */
  change(added: readonly Market[], gone: readonly Market[]): void
}

export function createMarketSubscriptions(
  source: Pick<Source, 'subscribe' | 'unsubscribe'>,
  markets: readonly Market[],
  partitions: number,
): MarketSubscriptions {
  const byShard = (some: readonly Market[]): Map<number, Market[]> => {
    const canonical = some.map(({ exchange, symbol }) => ({
      exchange: exchange.toLowerCase(),
      symbol: symbol.toUpperCase(),
    }))
    return Map.groupBy(canonical, (market) => shardOf(marketKey(market), partitions))
  }
  const ofShard = byShard(markets)
  const followed = new Set<number>()
  const follow = (k: number): void => {
    if (followed.has(k)) return
    followed.add(k)
    source.subscribe(ofShard.get(k) ?? [])
  }
  const leave = (k: number): void => {
    if (followed.delete(k)) source.unsubscribe(ofShard.get(k) ?? [])
  }
  return {
    follow,
    renew(k) {
      leave(k)
      follow(k)
      return ofShard.get(k) ?? []
    },
    leave,
    change(added, gone) {
      for (const [k, some] of byShard(gone)) {
        const keys = new Set(some.map(marketKey))
        ofShard.set(
          k,
          (ofShard.get(k) ?? []).filter((market) => !keys.has(marketKey(market))),
        )
        if (followed.has(k)) source.unsubscribe(some)
      }
      for (const [k, some] of byShard(added)) {
        ofShard.set(k, [...(ofShard.get(k) ?? []), ...some])
        if (followed.has(k)) source.subscribe(some)
      }
    },
  }
}
