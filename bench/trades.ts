import type { Trade } from '../src/domain/events.ts'
import { DEFAULT_MARKETS } from '../src/simulator/markets.ts'

/** Between two trades: 20,000 a second of event time. */
const SPACING_MICROS = 50

/** `count` trades of all markets in turn, the last of them now, so that they fall into one or two chunks. */
export function makeTrades(count: number): Trade[] {
  const first = firstOf(count)
  return Array.from({ length: count }, (_, i) => tradeAt(first, i))
}

/** The same in batches of at most `size`, so that many trades need little memory. */
export function* makeBatches(count: number, size: number): Generator<Trade[]> {
  const first = firstOf(count)
  for (let at = 0; at < count; at += size) {
    yield Array.from({ length: Math.min(size, count - at) }, (_, i) => tradeAt(first, at + i))
  }
}

function firstOf(count: number): number {
  return Date.now() * 1000 - count * SPACING_MICROS
}

function tradeAt(first: number, i: number): Trade {
  const { exchange, symbol } = marketAt(i)
  const ts = first + i * SPACING_MICROS
  const side = i % 3 === 0 ? 'sell' : 'buy'
  return {
    exchange,
    symbol,
    id: String(684_000_000 + i),
    side,
    price: 119_300 + (i % 977) / 100,
    size: 0.0001 * (1 + (i % 89)),
    ts,
    recvTs: ts + 1_500,
  }
}

function marketAt(i: number): { readonly exchange: string; readonly symbol: string } {
  const market = DEFAULT_MARKETS[i % DEFAULT_MARKETS.length]
  if (market === undefined) throw new Error('the simulator has no markets')
  return market
}

/** Cuts a list into batches of at most `size`. */
export function batchesOf<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  )
}
