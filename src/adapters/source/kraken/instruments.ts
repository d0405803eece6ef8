import { type InstrumentsWire, listedRows } from '../feed/instruments.ts'
import { fieldsOf, textOf } from '../feed/wire-fields.ts'

/** What Kraken's REST calls some assets otherwise than everybody and its own WebSocket. */
const ASSETS: Readonly<Record<string, string>> = { XBT: 'BTC', XDG: 'DOGE' }

/** Format: https://docs.kraken.com/api/docs/rest-api/get-tradable-asset-pairs */
export const krakenInstruments: InstrumentsWire = {
  exchange: 'kraken',
  path: '/AssetPairs',
  read: (answer) =>
    listedRows(Object.values(fieldsOf(fieldsOf(answer)['result']))).map(
      ({ wsname, altname, tick_size: tick, lot_decimals: decimals, status }) => {
        const [base, quote] = textOf(wsname)
          .split('/')
          .map((asset) => ASSETS[asset] ?? asset)
        const lot = typeof decimals === 'number' ? (10 ** -decimals).toFixed(decimals) : undefined
        return { name: altname, base, quote, tick, lot, isTrading: status === 'online' }
      },
    ),
}
