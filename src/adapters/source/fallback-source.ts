import { marketKey } from '../../domain/events.ts'
import {
  type ConnectionChange,
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

interface FallbackOptions {
  readonly first: Source
  /** Asked for nothing as long as the first one delivers. */
  readonly second: Source
  /** Whether the second one may have a market. */
  readonly covers: (market: Market) => boolean
  /** How long the first one may be away before the second stands in, and must be back before that rests again. Milliseconds. */
  readonly afterMs: number
}

/**
 * A source, and another that stands in while the first one is away (R3). For a while after the first one is back both deliver: so no trade is
 * lost at the seam, and the producer leaves out what comes twice, since trades of one exchange have the same ids from wherever they come.
 * Of quotes and candles those of the first one count, as soon as it delivers. Where one of the two goes on delivering, a new connection of
 * the other has missed nothing.
 */
export function withFallback(options: FallbackOptions): Source {
  return new FallbackSource(options)
}

class FallbackSource implements Source {
  readonly name: string
  readonly #first: Source
  readonly #second: Source
  readonly #covers: (market: Market) => boolean
  readonly #afterMs: number
  readonly #several: SeveralSources
  readonly #markets = new Map<string, Market>()
  /** The markets of each whose connection stands, by what was pulled. */
  readonly #delivered: ReadonlyMap<Source, Set<string>>
  /** Since when it has been so that calls for the other state (performance.now). */
  #since: number | undefined
  #standsIn = false

  constructor({ first, second, covers, afterMs }: FallbackOptions) {
    this.name = first.name
    this.#first = first
    this.#second = second
    this.#covers = covers
    this.#afterMs = afterMs
    this.#delivered = new Map([first, second].map((source) => [source, new Set()]))
    this.#several = new SeveralSources([first, second], (source, item) => this.#scoped(source, item))
  }

  get ended(): boolean {
    return this.#first.ended
  }

  next(options: NextOptions, signal: AbortSignal): Promise<SourceBatch> {
    this.#judge()
    return this.#several.next(options, signal)
  }

  subscribe(markets: readonly Market[]): void {
    for (const market of markets) this.#markets.set(marketKey(market), market)
    this.#first.subscribe(markets)
    if (this.#standsIn) this.#second.subscribe(markets.filter(this.#covers))
  }

  unsubscribe(markets: readonly Market[]): void {
    for (const key of markets.map(marketKey)) {
      this.#markets.delete(key)
      for (const delivered of this.#delivered.values()) delivered.delete(key)
    }
    this.#first.unsubscribe(markets)
    if (this.#standsIn) this.#second.unsubscribe(markets.filter(this.#covers))
  }

  relieve(isWanted: boolean): void {
    this.#first.relieve?.(isWanted)
    this.#second.relieve?.(isWanted)
  }

  health(): SourceHealth {
    const [first, second] = [this.#first.health(), this.#second.health()]
    const delivering = [first, second].find(({ way }) => way !== 'none')
    const { failure } = first
    return {
      name: this.name,
      way: delivering?.way ?? 'none',
      markets: first.markets,
      counters: sumOfCounters([first, second]),
      without: first.without,
      ...(delivering === undefined && failure && { failure }),
      members: [first, second].flatMap(eachHealth),
    }
  }

  /** Of the first one where it has any: both have the trades of one exchange. */
  history(...asked: Parameters<NonNullable<Source['history']>>): AsyncIterable<HistoryPage> | undefined {
    const found = this.#first.history?.(...asked)
    return found ?? (this.#covers(asked[0]) ? this.#second.history?.(...asked) : undefined)
  }

  close(): Promise<void> {
    return this.#several.close()
  }

  /** Lets the second one stand in, or rest, once that has been called for long enough. */
  #judge(): void {
    const isWell = [...this.#markets.keys()].every((key) => this.#delivers(this.#first, key))
    if (this.#markets.size === 0 || isWell !== this.#standsIn) {
      this.#since = undefined
      return
    }
    const now = performance.now()
    this.#since ??= now
    if (now - this.#since < this.#afterMs) return
    this.#since = undefined
    const markets = [...this.#markets.values()].filter(this.#covers)
    if (this.#standsIn) this.#second.unsubscribe(markets)
    else this.#second.subscribe(markets)
    this.#standsIn = !this.#standsIn
  }

  #delivers(source: Source, key: string): boolean {
    return this.#delivered.get(source)?.has(key) === true
  }

  #scoped(source: Source, item: SourceItem): SourceItem | undefined {
    if (item.channel === 'connection') return this.#change(source, item)
    const isOfBoth = item.channel === 'trade' || item.channel === 'last-trade'
    return isOfBoth || source === this.#first || !this.#delivers(this.#first, marketKey(item.event))
      ? item
      : undefined
  }

  #change(source: Source, item: ConnectionChange): ConnectionChange {
    const { mayHaveMissed, of, ...change } = item
    const { symbol, exchange, state } = change.status
    const covered = [...this.#markets.values()].filter(
      (market) => source === this.#first || this.#covers(market),
    )
    const concerned = symbol === undefined ? (of ?? covered) : [{ exchange, symbol }]
    const delivered = this.#delivered.get(source)
    if (symbol === undefined && (state === 'disconnected' || state === 'stale'))
      for (const market of concerned) delivered?.delete(marketKey(market))
    // Also what REST gives is announced, and has no trades: only what comes over a new connection may have been missed before.
    if (!mayHaveMissed) return change
    if (state === 'overflow') return item
    for (const market of concerned) delivered?.add(marketKey(market))
    const other = source === this.#first ? this.#second : this.#first
    const without = new Set(other.health().without.map(marketKey))
    const lacking = concerned.filter((market) => {
      const key = marketKey(market)
      return without.has(key) || !this.#delivers(other, key)
    })
    if (lacking.length === 0) return change
    return lacking.length === concerned.length ? item : { ...item, of: lacking }
  }
}
