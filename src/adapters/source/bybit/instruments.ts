import { type InstrumentsWire, listedRows } from '../feed/instruments.ts'
import { fieldsOf } from '../feed/wire-fields.ts'

/** Format: https://bybit-exchange.github.io/docs/v5/market/instrument */
export const bybitInstruments: InstrumentsWire = {
  exchange: 'bybit',
  path: '/v5/market/instruments-info?category=spot',
  read: (answer) =>
    listedRows(fieldsOf(fieldsOf(answer)['result'])['list']).map((row) => ({
      ...{ name: row['symbol'], base: row['baseCoin'], quote: row['quoteCoin'] },
      tick: fieldsOf(row['priceFilter'])['tickSize'],
      lot: fieldsOf(row['lotSizeFilter'])['basePrecision'],
      isTrading: row['status'] === 'Trading',
    })),
}
