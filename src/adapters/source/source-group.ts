import { marketKey } from '../../domain/events.ts'
import {
  eachHealth,
  type HistoryPage,
  type Market,
  type NextOptions,
  type Source,
  type SourceBatch,
  type SourceHealth,
  type SourceItem,
} from '../../ports/source.ts'
import { SeveralSources, sumOfCounters } from './feed/several.ts'

/** What the group is called where one name must do. */
const NAME = 'sources'

/** A source, and which markets are its own. */
export interface GroupMember {
  readonly source: Source
  readonly has: (market: Market) => boolean
}

/**
 * Several sources as one. Each has markets of its own, connects and fails by itself, and keeps a queue of its own: one that is away, stands still or
 * sends too much costs the others nothing. The group fails only where none of them delivers. A change of one connection concerns the markets of that
 * source alone.
 */
export function groupSources(members: readonly GroupMember[]): Source {
  return new SourceGroup(members)
}

class SourceGroup implements Source {
  readonly name = NAME
  readonly #members: readonly GroupMember[]
  /** What each is asked for at present, by the keys of the markets. */
  readonly #asked: ReadonlyMap<Source, Map<string, Market>>
  readonly #several: SeveralSources

  constructor(members: readonly GroupMember[]) {
    this.#members = members
    const sources = members.map(({ source }) => source)
    this.#asked = new Map(sources.map((source) => [source, new Map()]))
    this.#several = new SeveralSources(sources, (source, item) => this.#scoped(source, item))
  }

  get ended(): boolean {
    return this.#several.ended
  }

  next(options: NextOptions, signal: AbortSignal): Promise<SourceBatch> {
    return this.#several.next(options, signal)
  }

  subscribe(markets: readonly Market[]): void {
    for (const [source, own] of this.#bySource(markets)) {
      for (const market of own) this.#asked.get(source)?.set(marketKey(market), market)
      source.subscribe(own)
    }
  }

  unsubscribe(markets: readonly Market[]): void {
    for (const [source, own] of this.#bySource(markets)) {
      for (const market of own) this.#asked.get(source)?.delete(marketKey(market))
      source.unsubscribe(own)
    }
  }

  relieve(isWanted: boolean): void {
    for (const { source } of this.#members) source.relieve?.(isWanted)
  }

  health(): SourceHealth {
    const members = this.#members.map(({ source }) => source.health())
    const failing = members.filter(({ failure }) => failure !== undefined)
    const way = members.find((each) => each.way !== 'none')?.way ?? 'none'
    const [failure] = way === 'none' ? failing.flatMap((each) => each.failure ?? []) : []
    return {
      name: NAME,
      way,
      markets: members.reduce((sum, each) => sum + each.markets, 0),
      counters: sumOfCounters(members),
      without: members.flatMap(({ without }) => without),
      ...(failure && { failure }),
      members: members.flatMap(eachHealth),
    }
  }

  history(...asked: Parameters<NonNullable<Source['history']>>): AsyncIterable<HistoryPage> | undefined {
    const owner = this.#ownerOf(asked[0])
    if (owner !== undefined) return owner.history?.(...asked)
    // A market that is not followed live may have a past all the same.
    for (const { source } of this.#members) {
      const found = source.history?.(...asked)
      if (found !== undefined) return found
    }
    return undefined
  }

  memberOf(market: Market): string {
    return this.#ownerOf(market)?.name ?? NAME
  }

  close(): Promise<void> {
    return this.#several.close()
  }

  /** A change of a whole source is one of its own markets here. */
  #scoped(source: Source, item: SourceItem): SourceItem {
    if (item.channel !== 'connection' || !item.mayHaveMissed) return item
    if (item.status.symbol !== undefined || item.of !== undefined) return item
    return { ...item, of: [...(this.#asked.get(source)?.values() ?? [])] }
  }

  #ownerOf(market: Market): Source | undefined {
    return this.#members.find(({ has }) => has(market))?.source
  }

  /** Those that nobody has are left out. */
  #bySource(markets: readonly Market[]): (readonly [Source, readonly Market[]])[] {
    const byOwner = Map.groupBy(markets, (market) => this.#ownerOf(market))
    return [...byOwner].flatMap(([source, own]) => (source === undefined ? [] : [[source, own] as const]))
  }
}
