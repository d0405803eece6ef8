import { z } from 'zod'

/** A market with what is stored of its trades; times are ISO 8601 in UTC. */
export const marketSchema = z.object({
  exchange: z.string(),
  symbol: z.string(),
  first: z.string().describe('Event time of the first trade.'),
  last: z.string().describe('Event time of the last trade.'),
  trades: z.number().int().describe('How many trades, as the candles of a day count them.'),
})
export type Market = Readonly<z.output<typeof marketSchema>>

/** Which markets are wanted, at most so many. */
export interface MarketQuery {
  readonly exchange?: string
  /** A symbol, or a glob such as `BTC-*`. */
  readonly symbols?: string
  /** Only those behind it, in the order of symbol and exchange. */
  readonly after?: MarketPosition
  readonly limit: number
}

/** A place between markets: behind this one. */
export type MarketPosition = Pick<Market, 'symbol' | 'exchange'>
