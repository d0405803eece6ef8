import { type InstrumentsWire, listedRows } from '../feed/instruments.ts'
import { fieldsOf, listOf } from '../feed/wire-fields.ts'

/**
 * What Binance trades on its spot market. Its names are never taken apart: some have other than ASCII letters.
 * Format: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/general-endpoints#exchange-information
 */
export const binanceInstruments: InstrumentsWire = {
  exchange: 'binance',
  path: '/api/v3/exchangeInfo?showPermissionSets=false',
  read: (answer) =>
    listedRows(fieldsOf(answer)['symbols']).map(({ symbol: name, baseAsset, quoteAsset, ...row }) => {
      const filters = new Map(
        listOf(row['filters'])
          .map(fieldsOf)
          .map((each) => [each['filterType'], each]),
      )
      return {
        ...{ name, base: baseAsset, quote: quoteAsset, isTrading: row['status'] === 'TRADING' },
        tick: filters.get('PRICE_FILTER')?.['tickSize'],
        lot: filters.get('LOT_SIZE')?.['stepSize'],
      }
    }),
}
