import { type InstrumentsWire, listedRows } from '../feed/instruments.ts'
import { fieldsOf } from '../feed/wire-fields.ts'

/** Format: https://www.okx.com/docs-v5/en/#public-data-rest-api-get-instruments */
export const okxInstruments: InstrumentsWire = {
  exchange: 'okx',
  path: '/api/v5/public/instruments?instType=SPOT',
  read: (answer) =>
    listedRows(fieldsOf(answer)['data']).map(({ instId: name, baseCcy: base, quoteCcy: quote, ...row }) => ({
      ...{ name, base, quote, tick: row['tickSz'], lot: row['lotSz'], isTrading: row['state'] === 'live' },
    })),
}
