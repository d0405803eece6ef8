/**
 * What becomes of a market on its exchange.
 * - `trading`: it can be traded.
 * - `halted`: the exchange lists it, and it cannot be traded at present.
 * - `delisted`: the exchange lists it no more.
 */
export const INSTRUMENT_STATUSES = ['trading', 'halted', 'delisted'] as const
type InstrumentStatus = (typeof INSTRUMENT_STATUSES)[number]

/** A market as its exchange lists it: what the topic of instruments holds, one record a market. */
export interface ListedInstrument {
  readonly exchange: string
  /** Ours: one asset has one name on all exchanges. */
  readonly symbol: string
  /** What the exchange calls the market. */
  readonly name: string
  readonly base: string
  readonly quote: string
  /** The smallest step of prices and of sizes, as the exchange writes it; left out where it tells none. */
  readonly tick?: string
  readonly lot?: string
  readonly status: InstrumentStatus
  /** Since when it is known to be so, in microseconds. */
  readonly ts: number
}

/** Whether two say the same, whenever they say it. */
export function isSameListing(one: ListedInstrument, other: ListedInstrument): boolean {
  return (
    one.name === other.name &&
    one.base === other.base &&
    one.quote === other.quote &&
    one.tick === other.tick &&
    one.lot === other.lot &&
    one.status === other.status
  )
}
