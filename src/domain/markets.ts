import { z } from 'zod'
import { INSTRUMENT_STATUSES } from './instruments.ts'

const listingSchema = z.object({
  name: z.string().describe('What the exchange calls the market.'),
  base: z.string(),
  quote: z.string(),
  tick: z.string().nullable().describe('The smallest step of prices, as the exchange writes it.'),
  lot: z.string().nullable().describe('The smallest step of sizes, as the exchange writes it.'),
  status: z
    .enum(INSTRUMENT_STATUSES)
    .describe('halted: listed, and not traded at present. delisted: listed no more.'),
  since: z.string().describe('Since when the platform knows it to be so.'),
})

/** A market with what is stored of its trades and what its exchange says of it; times are ISO 8601 in UTC. */
export const marketSchema = z.object({
  exchange: z.string(),
  symbol: z.string(),
  first: z.string().nullable().describe('Event time of the first trade; null where none is stored.'),
  last: z.string().nullable().describe('Event time of the last trade; null where none is stored.'),
  trades: z.number().int().describe('How many trades, as the candles of a day count them.'),
  listing: listingSchema
    .readonly()
    .nullable()
    .describe('As its exchange lists it; null where no producer has read a list with it.'),
})
export type Market = Readonly<z.output<typeof marketSchema>>

/** Which markets are wanted, at most so many. */
export interface MarketQuery {
  readonly exchange?: string
  /** A symbol, or a glob such as `BTC-*`. */
  readonly symbols?: string
  /** A part of the symbol or of the exchange's own name, in any case; with `*` a glob of one of these. */
  readonly search?: string
  /** Only those with stored trades, or only those without; left out means all. */
  readonly stored?: boolean
  /** Only those after it, in the order of symbol and exchange. */
  readonly after?: MarketPosition
  readonly limit: number
}

/** A place between markets: after this one. */
type MarketPosition = Pick<Market, 'symbol' | 'exchange'>
