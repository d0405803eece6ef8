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
import { SeveralSources, sumOfCounters } from './several.ts'

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
  /** Those whose connection stands, by what was pulled of them. */
  readonly #connected = new Set<Source>()
  /** Since when it has been so that calls for the other state (performance.now). */
  #since: number | undefined
  #standsIn = false

  constructor({ first, second, covers, afterMs }: FallbackOptions) {
    this.name = first.name
    this.#first = first
    this.#second = second
    this.#covers = covers
    this.#afterMs = afterMs
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
    for (const market of markets) this.#markets.delete(marketKey(market))
    this.#first.unsubscribe(markets)
    if (this.#standsIn) this.#second.unsubscribe(markets.filter(this.#covers))
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
    if (this.#markets.size === 0 || this.#connected.has(this.#first) !== this.#standsIn) {
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

  #scoped(source: Source, item: SourceItem): SourceItem | undefined {
    if (item.channel === 'connection') return this.#change(source, item)
    const isOfBoth = item.channel === 'trade' || item.channel === 'last-trade'
    return isOfBoth || source === this.#first || !this.#connected.has(this.#first) ? item : undefined
  }

  #change(source: Source, item: ConnectionChange): ConnectionChange {
    const { mayHaveMissed, of: _, ...change } = item
    const { symbol, exchange, state } = change.status
    if (symbol === undefined && (state === 'disconnected' || state === 'stale'))
      this.#connected.delete(source)
    // Also what REST gives is announced, and has no trades: only what comes over a new connection may have been missed before.
    if (!mayHaveMissed) return change
    if (state === 'overflow') return item
    if (symbol === undefined) this.#connected.add(source)
    const other = source === this.#first ? this.#second : this.#first
    if (!this.#connected.has(other)) return item
    const lacking = this.#lackingIn(other)
    if (symbol === undefined) return lacking.length === 0 ? change : { ...item, of: lacking }
    return lacking.some((market) => marketKey(market) === marketKey({ exchange, symbol })) ? item : change
  }

  /** The markets that a source does not deliver although it is connected. */
  #lackingIn(source: Source): readonly Market[] {
    const { without } = source.health()
    if (source === this.#first) return without
    return [...without, ...[...this.#markets.values()].filter((market) => !this.#covers(market))]
  }
}
