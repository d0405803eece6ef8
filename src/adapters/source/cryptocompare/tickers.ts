import { z } from 'zod'
import type { Quote } from '../../../domain/events.ts'
import type { Market } from '../../../ports/source.ts'
import { isPlausible } from '../feed/event-time.ts'
import { QuoteState } from '../feed/quote-state.ts'
import { readNumber } from '../feed/values.ts'

/**
 * What a ticker says that a quote has room for: in frames of TYPE 2 and 5, and in RAW of pricemultifull. The fields are read one
 * by one: one that is odd costs nothing but itself.
 */
export const tickerSchema = z.object({
  PRICE: z.unknown().optional(),
  BID: z.unknown().optional(),
  ASK: z.unknown().optional(),
  VOLUME24HOUR: z.unknown().optional(),
  /** Seconds; of the last trade. */
  LASTUPDATE: z.unknown().optional(),
})

/** A frame of TYPE 2 (one exchange) or 5 (the aggregate, MARKET CCCAGG). After the first only what changed is there. */
export const tickerFrameSchema = tickerSchema.extend({
  MARKET: z.string(),
  FROMSYMBOL: z.string(),
  TOSYMBOL: z.string(),
})

export type Ticker = z.infer<typeof tickerSchema>

/** What a ticker came to: a quote, or why it is none. */
export type TickerOutcome = Quote | 'unchanged' | 'older' | 'mistimed'

/** The last state of one market's ticker. */
export class TickerState {
  readonly #market: Market
  readonly #quote = new QuoteState()

  constructor(market: Market) {
    this.#market = market
  }

  /** Forgets the prices, but not when they were. */
  forget(): void {
    this.#quote.forget()
  }

  /** Merges an update. A ticker that never told its time has the arrival's. */
  merge(ticker: Ticker, recvTs: number, maxSkewMs: number): TickerOutcome {
    // A market without a trade yet has none, or 0.
    const seconds = readNumber(ticker.LASTUPDATE) || undefined
    const ts = seconds && Math.round(seconds * 1_000_000)
    if (ts !== undefined && !isPlausible(ts, recvTs, maxSkewMs)) return 'mistimed'
    const { BID: bid, ASK: ask, PRICE: last, VOLUME24HOUR: volume24h } = ticker
    const fields = this.#quote.merge({ bid, ask, last, volume24h }, { ts })
    if (typeof fields === 'string') return fields
    const { exchange, symbol } = this.#market
    return { exchange, symbol, ...fields, ts: this.#quote.ts ?? recvTs, recvTs }
  }

  /** Takes a ticker for all that is known of the market, as an answer of REST is. */
  replace(ticker: Ticker, recvTs: number, maxSkewMs: number): TickerOutcome {
    this.forget()
    return this.merge(ticker, recvTs, maxSkewMs)
  }
}
