import type { Source } from '../../../ports/source.ts'
import { type CandleRows, MINUTE_US, readCandles } from '../feed/candle-history.ts'
import { canonicalMarket } from '../feed/canonical-market.ts'
import type { Outlet } from '../feed/feed-protocol.ts'
import { readNumber } from '../feed/values.ts'
import { fieldsOf, microsOfSeconds } from '../feed/wire-fields.ts'
import type { ExchangeNames } from './exchange-names.ts'
import type { RestClient } from './rest-client.ts'

const SECOND_US = 1_000_000

/** It gives one more than it is asked for, which are 2,000 at the most. */
const MOST_MINUTES = 2_001

/** How far back it has minutes depends on the contract. Before that all prices of a row are 0, as they are before the first trade of a market. */
const ROWS: CandleRows = {
  minutes: MOST_MINUTES,
  beginsAtFirst: true,
  read(row) {
    const { time, open, high, low, close, volumefrom: volume } = fieldsOf(row)
    if ([open, high, low, close].every((price) => readNumber(price) === 0)) return undefined
    return { open, high, low, close, volume, ts: microsOfSeconds(time) }
  },
}

/** The past candles of all exchanges that CryptoCompare has. It gives no past trades. */
export function minuteHistory(
  client: RestClient,
  names: ExchangeNames,
  { now, tally }: Pick<Outlet, 'now' | 'tally'>,
): NonNullable<Source['history']> {
  return (market, range, signal, channel) => {
    if (channel !== 'candle') return undefined
    const { exchange, symbol } = canonicalMarket(market)
    const [base = '', quote = ''] = symbol.split('-')
    return readCandles(ROWS, { exchange, symbol }, range, {
      ask({ from, to }) {
        const limit = Math.max(1, (to - from) / MINUTE_US)
        return client.minutes([names.wire(exchange), base, quote], { limit, to: to / SECOND_US }, signal)
      },
      now,
      leftOut: (...row) => tally.leftOutOfPast(...row),
    })
  }
}
