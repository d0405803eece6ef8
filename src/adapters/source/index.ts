import { binance } from './binance/source.ts'
import { bitfinex } from './bitfinex/source.ts'
import { bitstamp } from './bitstamp/source.ts'
import { bybit } from './bybit/source.ts'
import { coinbase } from './coinbase/source.ts'
import { cryptocompare } from './cryptocompare/source.ts'
import { gemini } from './gemini/source.ts'
import { kraken } from './kraken/source.ts'
import { okx } from './okx/source.ts'

/** Every service that data may come from, by the name of its kind: the only place that says which there are. */
export const SOURCES = {
  cryptocompare,
  coinbase,
  binance,
  bitfinex,
  bitstamp,
  bybit,
  gemini,
  kraken,
  okx,
}

export type SourceName = keyof typeof SOURCES

export const SOURCE_NAMES = Object.keys(SOURCES) as SourceName[]
