import type { Interval } from '../domain/events.ts'
import { parseMarket } from '../domain/market-names.ts'
import type { Market } from '../domain/markets.ts'
import type { StoredRow } from '../domain/stored-rows.ts'
import type { Store } from '../ports/store.ts'

/** What TradingView calls our intervals: minutes, or days. */
const INTERVAL_OF: ReadonlyMap<string, Interval> = new Map([
  ['1', '1m'],
  ['5', '5m'],
  ['15', '15m'],
  ['60', '1h'],
  ['240', '4h'],
  ['1D', '1d'],
  ['D', '1d'],
])

const INTRADAY = ['1', '5', '15', '60', '240']

/** The library makes the others of those that we have. */
const RESOLUTIONS = ['1', '5', '15', '30', '60', '120', '240', '1D', '1W', '1M']

/** So many trades tell how many decimals the prices of a market have. */
const TRADES_LOOKED_AT = 100
/** More than a double has of a price beyond 1. */
const MOST_DECIMALS = 12

/** What the datafeed can. Source: https://www.tradingview.com/charting-library-docs/latest/connecting_data/UDF */
export function udfConfig(markets: readonly Market[]): Record<string, unknown> {
  const exchanges = [...new Set(markets.map(({ exchange }) => exchange))].sort()
  return {
    supports_search: true,
    supports_group_request: false,
    supports_marks: false,
    supports_timescale_marks: false,
    supports_time: true,
    supported_resolutions: RESOLUTIONS,
    exchanges: [
      { value: '', name: 'All exchanges', desc: '' },
      ...exchanges.map((value) => ({ value, name: value.toUpperCase(), desc: value })),
    ],
    symbols_types: [{ name: 'All types', value: '' }],
  }
}

/** The interval of a resolution; undefined where there are no candles of it. */
export function intervalOf(resolution: string): Interval | undefined {
  return INTERVAL_OF.get(resolution)
}

/** The market that a chart means by `EXCHANGE:SYMBOL`, in any case; undefined where it is none. */
export function marketOf(symbol: string): { readonly exchange: string; readonly symbol: string } | undefined {
  return parseMarket(symbol)
}

/** A market among those that a search has found. */
export function udfFound({ exchange, symbol }: Market): Record<string, unknown> {
  const name = nameOf({ exchange, symbol })
  return {
    symbol,
    full_name: name,
    description: `${symbol} on ${exchange}`,
    exchange: exchange.toUpperCase(),
    ticker: name,
    type: 'crypto',
  }
}

/** All that a chart wants to know of a market. `decimals`: of its prices. */
export function udfSymbol({ exchange, symbol }: Market, decimals: number): Record<string, unknown> {
  const name = nameOf({ exchange, symbol })
  return {
    name: symbol,
    full_name: name,
    ticker: name,
    description: `${symbol} on ${exchange}`,
    type: 'crypto',
    session: '24x7',
    timezone: 'Etc/UTC',
    exchange: exchange.toUpperCase(),
    listed_exchange: exchange.toUpperCase(),
    format: 'price',
    minmov: 1,
    pricescale: 10 ** decimals,
    has_intraday: true,
    intraday_multipliers: INTRADAY,
    has_daily: true,
    daily_multipliers: ['1'],
    has_weekly_and_monthly: false,
    supported_resolutions: RESOLUTIONS,
    volume_precision: 8,
    data_status: 'streaming',
  }
}

function nameOf({ exchange, symbol }: Pick<Market, 'exchange' | 'symbol'>): string {
  return `${exchange.toUpperCase()}:${symbol}`
}

/** How many decimals the latest prices of a market have. */
export async function decimalsOf(
  store: Pick<Store, 'trades'>,
  { exchange, symbol }: Pick<Market, 'exchange' | 'symbol'>,
  signal: AbortSignal,
): Promise<number> {
  const trades = await store.trades({ exchange, symbol, limit: TRADES_LOOKED_AT }, signal)
  return Math.max(0, ...trades.map(({ price }) => decimals(price)))
}

function decimals(price: number): number {
  const [digits = '', exponent = '0'] = String(price).split('e')
  const fraction = digits.split('.')[1]?.length ?? 0
  return Math.min(MOST_DECIMALS, Math.max(0, fraction - Number(exponent)))
}

/** Candles as a chart takes them: one list a field, oldest first, times in seconds. */
export function udfBars(candles: readonly StoredRow<'candle'>[]): Record<string, unknown> {
  return {
    s: 'ok',
    t: candles.map(({ ts }) => secondsOf(ts)),
    o: candles.map(({ open }) => open),
    h: candles.map(({ high }) => high),
    l: candles.map(({ low }) => low),
    c: candles.map(({ close }) => close),
    v: candles.map(({ volume }) => volume),
  }
}

/** There is no candle in the range. `before`: the last one in front of it, which the chart asks for then. */
export function udfNoBars(before: StoredRow<'candle'> | undefined): Record<string, unknown> {
  return { s: 'no_data', ...(before && { nextTime: secondsOf(before.ts) }) }
}

function secondsOf(ts: string): number {
  return Date.parse(ts) / 1_000
}
