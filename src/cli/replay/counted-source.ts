import { marketKey } from '../../domain/events.ts'
import type { Source, SourceItem } from '../../ports/source.ts'

/** What a source has given so far. */
export interface ReplayCounts {
  trades: number
  quotes: number
  /** Snapshots and changes of books. */
  books: number
  /** Distinct markets that anything was given of. */
  markets: number
  /** Whether the source has ended and everything that it gave is published: the producer asks again only then. */
  isPublished: boolean
}

export function noCounts(): ReplayCounts {
  return { trades: 0, quotes: 0, books: 0, markets: 0, isPublished: false }
}

/** The same source, counting what it gives. */
export function countedSource(source: Source, counts: ReplayCounts): Source {
  const markets = new Set<string>()
  const count = (item: SourceItem): void => {
    if (item.channel === 'connection' || item.channel === 'status' || item.channel === 'last-trade') return
    if (item.channel === 'trade') counts.trades++
    if (item.channel === 'quote') counts.quotes++
    if (item.channel === 'book') counts.books++
    markets.add(marketKey(item.event))
    counts.markets = markets.size
  }
  return {
    name: source.name,
    get ended() {
      return source.ended
    },
    async next(options, signal) {
      if (source.ended) counts.isPublished = true
      const batch = await source.next(options, signal)
      batch.items.forEach(count)
      return batch
    },
    subscribe: (wanted) => source.subscribe(wanted),
    unsubscribe: (unwanted) => source.unsubscribe(unwanted),
    health: () => source.health(),
    close: () => source.close(),
  }
}
