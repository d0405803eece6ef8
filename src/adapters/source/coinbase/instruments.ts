import { type InstrumentsWire, listedRows } from '../feed/instruments.ts'

/** Format: https://docs.cdp.coinbase.com/api-reference/exchange-api/rest-api/products/get-all-known-trading-pairs */
export const coinbaseInstruments: InstrumentsWire = {
  exchange: 'coinbase',
  path: '/products',
  read: (answer) =>
    listedRows(answer).map((row) => ({
      ...{ name: row['id'], base: row['base_currency'], quote: row['quote_currency'] },
      ...{ tick: row['quote_increment'], lot: row['base_increment'] },
      isTrading: row['status'] === 'online' && row['trading_disabled'] !== true,
    })),
}
