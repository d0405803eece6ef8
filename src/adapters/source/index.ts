import { coinbase } from './coinbase/source.ts'
import { cryptocompare } from './cryptocompare/source.ts'

/** Every service that data may come from, by the name of its kind: the only place that says which there are. */
export const SOURCES = { cryptocompare, coinbase }

export type SourceName = keyof typeof SOURCES

export const SOURCE_NAMES = Object.keys(SOURCES) as SourceName[]
