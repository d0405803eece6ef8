import { TapelineError } from '../../errors.ts'
import { binance } from './binance/source.ts'
import { bitfinex } from './bitfinex/source.ts'
import { bitstamp } from './bitstamp/source.ts'
import { bybit } from './bybit/source.ts'
import { ccxt } from './ccxt/source.ts'
import { coinbase } from './coinbase/source.ts'
import { coinbaseAdvanced } from './coinbase-advanced/source.ts'
import { cryptocompare } from './cryptocompare/source.ts'
import type { SourceKind } from './feed/source-kind.ts'
import { gemini } from './gemini/source.ts'
import { kraken } from './kraken/source.ts'
import { okx } from './okx/source.ts'

/** Every service that data may come from, by the name of its kind: the only place that says which there are. */
export const SOURCES = {
  cryptocompare,
  coinbase,
  'coinbase-advanced': coinbaseAdvanced,
  binance,
  bitfinex,
  bitstamp,
  bybit,
  ccxt,
  gemini,
  kraken,
  okx,
}

export type SourceName = keyof typeof SOURCES

export const SOURCE_NAMES = Object.keys(SOURCES) as SourceName[]

/** The kind of a source as the configuration names it. Raises CONFIG_INVALID where `exchange` is missing, or means nothing. */
export function kindOf({
  kind,
  exchange,
}: {
  readonly kind: SourceName
  readonly exchange?: string | undefined
}): SourceKind {
  const found: SourceKind = SOURCES[kind]
  const { ofExchange } = found
  if (ofExchange !== undefined && exchange !== undefined) return ofExchange(exchange)
  if (ofExchange === undefined && exchange === undefined) return found
  if (exchange === undefined)
    throw new TapelineError(
      'CONFIG_INVALID',
      `the source ${kind} has many exchanges, and exchange names none`,
      {
        remedy: 'Set exchange to one of them, such as kucoin.',
      },
    )
  throw new TapelineError('CONFIG_INVALID', `the source ${kind} has its own exchanges`, {
    remedy: 'Take exchange out: only the kind ccxt takes one.',
  })
}
