import { binance } from './binance.ts'
import { bitfinex } from './bitfinex.ts'
import { bitstamp } from './bitstamp.ts'
import { bybit } from './bybit.ts'
import { coinbase } from './coinbase.ts'
import type { Dialect } from './dialect.ts'
import { gemini } from './gemini.ts'
import { kraken } from './kraken.ts'
import { okx } from './okx.ts'

const dialects = { binance, bitfinex, bitstamp, bybit, coinbase, gemini, kraken, okx }

export type SimulatedExchange = keyof typeof dialects

/** The exchanges whose own protocols the simulator speaks. */
export const DIALECTS: Readonly<Record<SimulatedExchange, Dialect>> = dialects

export function isSimulatedExchange(name: string): name is SimulatedExchange {
  return Object.hasOwn(DIALECTS, name)
}
