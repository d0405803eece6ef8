import assert from 'node:assert/strict'
import { parseIsoMicros } from '../../src/domain/time.ts'
import { type Legs, whyNotTheLegs } from '../legs.ts'
import { byMarket, type LedgerTrade, readLedger, storedTrades, tradeKey } from './ledger.ts'
import { type PlatformProcess, until } from './platform-process.ts'

/** Of a stream that moves between trades and quotes. */
export function isTrade(event: LedgerTrade): boolean {
  return 'price' in event
}

/** Of a stream that moves from trades to quotes and back: whether somebody has come so far. */
export function hasTradesAgain(got: readonly LedgerTrade[]): boolean {
  const last = got.at(-1)
  return last !== undefined && isTrade(last) && got.some((event) => !isTrade(event))
}

function quoteKey({ exchange, symbol, ts, ...quote }: LedgerTrade): string {
  const { bid, ask, last } = quote as unknown as Record<string, number | undefined>
  return [exchange, symbol, ts, bid ?? '', ask ?? '', last ?? ''].join('|')
}

/** All trades that are stored, in the order in which the exchange gave them, once those are stored that came. */
export async function tradesBehind(
  platform: PlatformProcess,
  ledger: string,
  came: readonly LedgerTrade[],
): Promise<LedgerTrade[]> {
  const stored = await untilStored(came, tradeKey, () => storedTrades(platform))
  // Its file may be behind the simulator.
  const order = new Map<string, number>()
  await until('the ledger has what is stored', async () => {
    for (const [i, trade] of (await readLedger(ledger)).entries()) order.set(tradeKey(trade), i)
    return stored.every((trade) => order.has(tradeKey(trade)))
  })
  return stored.toSorted((a, b) => (order.get(tradeKey(a)) ?? 0) - (order.get(tradeKey(b)) ?? 0))
}

/** All quotes that are stored, once those are stored that came. */
export function quotesBehind(
  platform: PlatformProcess,
  came: readonly LedgerTrade[],
): Promise<LedgerTrade[]> {
  return untilStored(came, quoteKey, () => storedQuotes(platform))
}

async function untilStored(
  came: readonly LedgerTrade[],
  keyOf: (event: LedgerTrade) => string,
  read: () => Promise<LedgerTrade[]>,
): Promise<LedgerTrade[]> {
  let stored: LedgerTrade[] = []
  await until('what came is stored', async () => {
    stored = await read()
    const keys = new Set(stored.map(keyOf))
    return came.every((event) => keys.has(keyOf(event)))
  })
  return stored
}

async function storedQuotes(platform: PlatformProcess): Promise<LedgerTrade[]> {
  const rows = await platform.sql<Record<string, unknown> & { ts: string }>(
    'select * from quotes order by exchange, symbol, ts, recv_ts',
  )
  return rows.map((row) => {
    const given = Object.entries(row).filter(([, value]) => value !== null)
    return { ...Object.fromEntries(given), ts: parseIsoMicros(row.ts) ?? -1 } as unknown as LedgerTrade
  })
}

/** Asserts, market by market, that what came is exactly what the requests want of all that there was. */
export function assertLegs(
  who: string,
  got: readonly LedgerTrade[],
  all: readonly LedgerTrade[],
  legs: Legs<LedgerTrade>,
  keyOf: (event: LedgerTrade) => string = tradeKey,
): void {
  const ofMarket = byMarket(all)
  for (const [market, own] of byMarket(got)) {
    const why = whyNotTheLegs(own.map(keyOf), ofMarket.get(market) ?? [], keyOf, legs)
    assert.equal(why, undefined, `${who}: ${market}`)
  }
}

/** Asserts that somebody has had trades, quotes, and trades again, each once and without a hole. */
export function assertTradesQuotesTrades(
  who: string,
  got: readonly LedgerTrade[],
  all: { readonly trades: readonly LedgerTrade[]; readonly quotes: readonly LedgerTrade[] },
): void {
  const changes = got.filter((event, i) => i > 0 && isTrade(event) !== isTrade(got[i - 1] as LedgerTrade))
  assert.deepEqual(changes.map(isTrade), [false, true], `${who} has trades, quotes and trades`)
  assertLegs(who, got.filter(isTrade), all.trades, [() => true, () => false, () => true])
  const quotes = got.filter((event) => !isTrade(event))
  assertLegs(`${who}, quotes`, quotes, all.quotes, [() => true], quoteKey)
}
