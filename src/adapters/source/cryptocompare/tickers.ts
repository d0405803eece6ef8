import { z } from 'zod'
import type { Quote } from '../../../domain/events.ts'
import type { Market } from '../../../ports/source.ts'
import type { QuoteState } from '../feed/quote-state.ts'
import { micros } from './trades.ts'

/** What a ticker says that a quote has room for: in frames of TYPE 2 and 5, and in RAW of pricemultifull. */
export const tickerSchema = z.object({
  PRICE: z.number().optional(),
  BID: z.number().optional(),
  ASK: z.number().optional(),
  VOLUME24HOUR: z.number().optional(),
  /** Seconds; of the last trade. */
  LASTUPDATE: z.number().int().optional(),
})

/** A frame of TYPE 2 (one exchange) or 5 (the aggregate, MARKET CCCAGG). After the first only what changed is there. */
export const tickerFrameSchema = tickerSchema.extend({
  MARKET: z.string(),
  FROMSYMBOL: z.string(),
  TOSYMBOL: z.string(),
})

export type Ticker = z.infer<typeof tickerSchema>

/** The last state of one market's ticker. */
export class TickerState {
  readonly #quote: QuoteState
  #ts: number | undefined

  constructor(quote: QuoteState) {
    this.#quote = quote
  }

  /** Merges an update. Undefined where nothing of the quote changed. A ticker that never told its time has the arrival's. */
  merge(market: Market, ticker: Ticker, recvTs: number): Quote | undefined {
    this.#ts = micros(ticker.LASTUPDATE) ?? this.#ts
    const { BID: bid, ASK: ask, PRICE: last, VOLUME24HOUR: volume24h } = ticker
    const fields = this.#quote.merge({
      ...(isPrice(bid) && { bid }),
      ...(isPrice(ask) && { ask }),
      ...(isPrice(last) && { last }),
      ...(volume24h !== undefined && volume24h >= 0 && { volume24h }),
    })
    if (!fields) return undefined
    return { exchange: market.exchange, symbol: market.symbol, ...fields, ts: this.#ts ?? recvTs, recvTs }
  }
}

/** A side without orders is told as 0. */
function isPrice(value: number | undefined): value is number {
  return value !== undefined && value > 0
}
