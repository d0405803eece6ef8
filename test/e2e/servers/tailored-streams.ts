import assert from 'node:assert/strict'
import type { Candle } from '../../../src/domain/events.ts'
import {
  type LedgerTrade,
  marketOf,
  missedOutsideGaps,
  readLedger,
  storedTrades,
  tradeKey,
} from '../ledger.ts'
import { type PlatformProcess, until } from '../platform-process.ts'
import type { Cluster } from './cluster.ts'
import type { TailoredReader } from './tailored-reader.ts'

const SECOND = 1_000_000

/** So few events tell nothing. */
const ENOUGH = 50

/** After a kill on a busy machine one market's trades may come seconds after another's: what comes later than this is left out by right. */
const lateness = '6s'

/** Streams that ask for more than a channel, symbols and exchanges. */
export const TAILORED = {
  filter: { channel: 'trade', symbols: ['BTC-*'], where: 'size >= 0.02 && side == "buy"' },
  projection: { channel: 'trade', symbols: ['*'], fields: ['price'] },
  latest: { channel: 'trade', symbols: ['BTC-*'], every: '500ms', lateness },
  candles: { channel: 'candle', symbols: ['ETH-*'], interval: '1s', lateness },
}

/** Waits until all readers have what came after a time of the events, in microseconds. */
export function untilAllAreBehind(readers: ReadonlyMap<string, TailoredReader>, time: number): Promise<void> {
  return until(
    'all readers are behind it',
    () => [...readers.values()].every(({ newest }) => newest > time),
    120_000,
  )
}

/** Waits until all readers have enough from a time of the events on, in microseconds, to be compared. */
export function untilAllHaveEnough(
  readers: ReadonlyMap<string, TailoredReader>,
  begin: number,
): Promise<void> {
  return until(
    'all readers have enough to tell',
    () => [...readers.values()].every(({ events }) => within(events, begin, Infinity).length > 1.5 * ENOUGH),
    120_000,
  )
}

/** What a platform could get of the ledger before a time of the events, in its order: the rest lies in gaps, and all of it is stored once. */
export async function publishedBefore(
  { ledger: file }: Cluster,
  platform: PlatformProcess,
  end: number,
): Promise<LedgerTrade[]> {
  let ledger: LedgerTrade[] = []
  await until('the ledger is written', async () => {
    ledger = await readLedger(file)
    return ledger.some(({ ts }) => ts > end + SECOND)
  })
  // Each partition has a way of its own into the database: what is not there yet is missing outside of gaps.
  assert.deepEqual(
    await missedOutsideGaps(platform, within(ledger, 0, end)),
    [],
    'what is missing lies in gaps',
  )
  const stored = within(await storedTrades(platform), 0, end)
  const have = new Set(stored.map(tradeKey))
  assert.equal(have.size, stored.length, 'nothing is stored twice')
  const published = ledger.filter((trade) => have.has(tradeKey(trade)))
  assert.equal(published.length, stored.length, 'nothing is stored that was never emitted')
  return published
}

/** What is wrong for good: each partition has a way of its own to each reader, so that some of it may still come. */
export async function lastingFaults<T>(findFaults: () => readonly T[]): Promise<readonly T[]> {
  let faults = findFaults()
  await until('all have what they should', () => {
    faults = findFaults()
    return faults.length === 0
  }).catch(() => undefined)
  return faults
}

/** What is wrong with a stream: events that are not there, and events that should not be. */
export interface Fault {
  readonly what: string
  readonly wanted: number
  readonly missing: readonly string[]
  readonly besides: readonly string[]
}

/** Compares what came of a stream with what should have, in whatever order, each as often as it is. */
export function compare(what: string, got: readonly string[], wanted: readonly string[]): Fault[] {
  assert.ok(wanted.length > ENOUGH, `${what}: ${wanted.length} are too few to tell`)
  const missing = without(wanted, got)
  const besides = without(got, wanted)
  return missing.length + besides.length > 0 ? [{ what, wanted: wanted.length, missing, besides }] : []
}

/** From one time of the events on and before another one, in microseconds. */
export function within<T extends { readonly ts: number }>(
  events: readonly T[],
  begin: number,
  end: number,
): T[] {
  return events.filter(({ ts }) => ts >= begin && ts < end)
}

/** Compares what came of the streams above between two times with the trades of the platform, by the rules of each stream. */
export function compareTailored(
  eventsOf: (stream: keyof typeof TAILORED) => readonly LedgerTrade[],
  published: readonly LedgerTrade[],
  begin: number,
  end: number,
): Fault[] {
  const trades = within(published, begin, end)
  const projected = within(eventsOf('projection'), begin, end)
  for (const event of projected)
    assert.deepEqual(Object.keys(event).sort(), ['exchange', 'price', 'symbol', 'ts'])
  /** Of periods that lie between the ends as a whole. */
  const whole = <T>(found: ReadonlyMap<string, T>, length: number) =>
    [...found].filter(([key]) => {
      const at = Number(key.split(' ')[1]) * length
      return at >= begin + SECOND && at + length < end - SECOND
    })
  const half = SECOND / 2
  const candles = eventsOf('candles') as unknown as Candle[]
  return [
    ...compare(
      'the filter',
      within(eventsOf('filter'), begin, end).map(tradeKey),
      trades.filter((each) => isBitcoin(each) && each.size >= 0.02 && each.side === 'buy').map(tradeKey),
    ),
    ...compare('the projection', projected.map(fewFields), trades.map(fewFields)),
    ...compare(
      'the latest of each period',
      whole(periods(eventsOf('latest'), half), half).flatMap(([, some]) => some.map(tradeKey)),
      whole(periods(published.filter(isBitcoin), half), half).map(([, some]) => tradeKey(lastOf(some))),
    ),
    ...compare(
      'the candles',
      whole(
        Map.groupBy(candles, (each) => `${marketOf(each)} ${each.ts / SECOND}`),
        SECOND,
      ).flatMap(([key, each]) =>
        each.map(({ high, low, trades: count }) => JSON.stringify([key, high, low, count])),
      ),
      whole(periods(published.filter(isEther), SECOND), SECOND).map(([key, some]) => {
        const prices = some.map(({ price }) => price)
        return JSON.stringify([key, Math.max(...prices), Math.min(...prices), some.length])
      }),
    ),
  ]
}

const isBitcoin = ({ symbol }: LedgerTrade): boolean => symbol.startsWith('BTC-')
const isEther = ({ symbol }: LedgerTrade): boolean => symbol.startsWith('ETH-')

function fewFields({ exchange, symbol, ts, price }: LedgerTrade): string {
  return JSON.stringify([exchange, symbol, ts, price])
}

/** By market and period of so many microseconds. */
function periods(trades: readonly LedgerTrade[], length: number): Map<string, LedgerTrade[]> {
  return Map.groupBy(trades, (trade) => `${marketOf(trade)} ${Math.floor(trade.ts / length)}`)
}

function lastOf(trades: readonly LedgerTrade[]): LedgerTrade {
  return trades.reduce((a, b) => (b.ts >= a.ts ? b : a))
}

/** What of a list is not in another, each as often as it is. */
function without(all: readonly string[], other: readonly string[]): string[] {
  const left = new Map<string, number>()
  for (const each of other) left.set(each, (left.get(each) ?? 0) + 1)
  return all.filter((each) => {
    const count = left.get(each) ?? 0
    left.set(each, count - 1)
    return count <= 0
  })
}
