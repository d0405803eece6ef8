import { type InstrumentsWire, listedRows } from '../feed/instruments.ts'
import { listOf, textOf } from '../feed/wire-fields.ts'
import { usualAsset } from './wire.ts'

/**
 * What Bitfinex trades: names of six letters, or of two parts with a colon. It tells no steps: prices have five significant digits.
 * Format: https://docs.bitfinex.com/reference/rest-public-conf
 */
export const bitfinexInstruments: InstrumentsWire = {
  exchange: 'bitfinex',
  path: '/conf/pub:list:pair:exchange',
  read: (answer) =>
    listedRows(listOf(listOf(answer)[0]).map((pair) => ({ pair }))).map(({ pair }) => {
      const name = textOf(pair)
      const [base = '', quote = ''] = name.includes(':') ? name.split(':') : [name.slice(0, 3), name.slice(3)]
      return { name, base: usualAsset(base), quote: usualAsset(quote), isTrading: true }
    }),
}
