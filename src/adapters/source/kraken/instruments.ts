import { type InstrumentsWire, listedRows } from '../feed/instruments.ts'
import { fieldsOf, textOf } from '../feed/wire-fields.ts'
import { usualAsset } from './assets.ts'

/** Format: https://docs.kraken.com/api/docs/rest-api/get-tradable-asset-pairs */
export const krakenInstruments: InstrumentsWire = {
  exchange: 'kraken',
  path: '/AssetPairs',
  read: (answer) =>
    listedRows(Object.values(fieldsOf(fieldsOf(answer)['result']))).map(
      ({ wsname, altname, tick_size: tick, lot_decimals: decimals, status }) => {
        const [base, quote] = textOf(wsname).split('/').map(usualAsset)
        const lot = typeof decimals === 'number' ? (10 ** -decimals).toFixed(decimals) : undefined
        return { name: altname, base, quote, tick, lot, isTrading: status === 'online' }
      },
    ),
}
