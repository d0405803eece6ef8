import { type InstrumentsWire, listedRows } from '../feed/instruments.ts'

const step = (decimals: unknown) =>
  typeof decimals === 'number' ? (10 ** -decimals).toFixed(decimals) : undefined

/** Format: https://www.bitstamp.net/api/#tag/Market-info/operation/GetMarkets */
export const bitstampInstruments: InstrumentsWire = {
  exchange: 'bitstamp',
  path: '/markets/',
  read: (answer) =>
    listedRows(answer)
      .filter((row) => row['market_type'] === undefined || row['market_type'] === 'SPOT')
      .map((row) => ({
        ...{ name: row['market_symbol'], base: row['base_currency'], quote: row['counter_currency'] },
        ...{ tick: step(row['counter_decimals']), lot: step(row['base_decimals']) },
        isTrading: row['trading'] === 'Enabled',
      })),
}
