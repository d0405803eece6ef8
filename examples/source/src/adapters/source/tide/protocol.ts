import type { Trade } from '../../../domain/events.ts'
import type { Market } from '../../../ports/source.ts'
import type { FeedProtocol, FrameMeaning, MarketsChange } from '../feed/feed-protocol.ts'
import { QuoteState } from '../feed/quote-state.ts'
import type { SourceParts } from '../feed/source-kind.ts'
import { readFrameText } from '../feed/text.ts'
import { TradeOrder } from '../feed/trade-order.ts'
import { refusalInWords, shownWords } from '../feed/words.ts'
import { EXCHANGE, readFrame, type Ticker } from './frames.ts'

/** Tide's WebSocket: each market is asked for by itself, and the answer names it. */
export class TideProtocol implements FeedProtocol {
  readonly #parts: SourceParts
  /** What is remembered of the markets that were asked for, by symbol. */
  readonly #asked = new Map<string, { readonly order: TradeOrder; readonly quote: QuoteState }>()

  constructor(parts: SourceParts) {
    this.#parts = parts
  }

  get markets(): number {
    return this.#asked.size
  }

  opened(): readonly string[] {
    for (const { quote } of this.#asked.values()) quote.forget()
    return [...this.#asked.keys()].map((symbol) => this.#message('add', symbol))
  }

  add(markets: readonly Market[]): MarketsChange {
    const added = markets.filter(({ symbol }) => !this.#asked.has(symbol))
    for (const { symbol } of added)
      this.#asked.set(symbol, { order: new TradeOrder(), quote: new QuoteState() })
    return { send: added.map(({ symbol }) => this.#message('add', symbol)), added }
  }

  remove(markets: readonly Market[]): MarketsChange {
    for (const market of markets) this.#parts.outlet.refusals.forget(market)
    const gone = markets.filter(({ symbol }) => this.#asked.delete(symbol))
    return { send: gone.map(({ symbol }) => this.#message('drop', symbol)), added: [] }
  }

  read(data: Buffer, recvTs: number): FrameMeaning {
    const { maxSkewMs, refusals } = this.#parts.outlet
    const frame = readFrame(readFrameText(data) ?? '', recvTs, maxSkewMs)
    if (frame.kind === 'trade') this.#trade(frame.trade)
    else if (frame.kind === 'ticker') this.#ticker(frame, recvTs)
    else if (frame.kind === 'taken') refusals.accept({ exchange: EXCHANGE, symbol: frame.symbol })
    else if (frame.kind === 'refused') return this.#refused(frame.symbol, frame.reason)
    else return frame.kind
    return 'delivers'
  }

  #trade(trade: Trade): void {
    const { tally, emit } = this.#parts.outlet
    this.#asked.get(trade.symbol)?.order.see(trade.id, trade.ts, tally)
    if (this.#asked.has(trade.symbol)) emit({ channel: 'trade', event: trade })
  }

  #ticker({ symbol, update, ts }: Ticker, recvTs: number): void {
    const { tally, emit } = this.#parts.outlet
    const fields = this.#asked.get(symbol)?.quote.merge(update, { ts })
    if (fields === 'older') tally.counters.outOfOrder++
    if (typeof fields !== 'object') return
    emit({ channel: 'quote', event: { exchange: EXCHANGE, symbol, ...fields, ts, recvTs } })
  }

  #refused(symbol: string | undefined, reason: string): FrameMeaning {
    const { outlet, redact } = this.#parts
    const words = shownWords(reason, redact)
    if (symbol === undefined) outlet.complain(refusalInWords('websocket', words))
    else if (this.#asked.has(symbol))
      outlet.refusals.refuse({ exchange: EXCHANGE, symbol }, `MARKET_UNKNOWN: ${words}`)
    return 'neutral'
  }

  #message(op: 'add' | 'drop', market: string): string {
    return JSON.stringify({ op, market, channels: this.#parts.channels })
  }
}
