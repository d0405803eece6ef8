import { readFile } from 'node:fs/promises'
import { parseIsoMicros } from '../../src/domain/time.ts'
import { type PlatformProcess, until } from './platform-process.ts'

/** A line of the simulator's ledger, and a row of `trades` in the same form. */
export interface LedgerTrade {
  readonly exchange: string
  readonly symbol: string
  readonly id: string
  readonly side: string
  readonly price: number
  readonly size: number
  readonly ts: number
}

export const tradeKey = (trade: LedgerTrade): string =>
  [trade.exchange, trade.symbol, trade.id, trade.side, trade.price, trade.size, trade.ts].join('|')

export const marketOf = ({ exchange, symbol }: { exchange: string; symbol: string }): string =>
  `${exchange}:${symbol}`

/** All trades whose lines are written. */
export async function readLedger(path: string): Promise<LedgerTrade[]> {
  const text = await readFile(path, 'utf8')
  // What stands behind the last line feed is half a line: the simulator writes meanwhile.
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as LedgerTrade)
}

/** All rows of `trades`: of one statement, since rows are written meanwhile and pages would shift. */
export async function storedTrades(platform: PlatformProcess): Promise<LedgerTrade[]> {
  const rows = await platform.sql<LedgerTrade & { ts: string }>(
    'select exchange, symbol, id, side, price, size, ts from trades order by exchange, symbol, ts, id',
  )
  return rows.map((row) => ({ ...row, ts: parseIsoMicros(row.ts) ?? -1 }))
}

/** The trades that `tail --json` printed, in its order. */
export function parseTail(stdout: string): LedgerTrade[] {
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as LedgerTrade)
}

/** Splits trades, or whatever belongs to a market, by market, keeping their order. */
export function byMarket<T extends { exchange: string; symbol: string }>(
  items: readonly T[],
): Map<string, T[]> {
  return Map.groupBy(items, marketOf)
}

/** What was emitted so long before the newest stored trade is stored too, or lost. */
const SETTLED_MICROS = 2_000_000

/** The first trades of a ledger, once all of them that are ever stored are stored. The ledger's file may be behind the simulator. */
export async function untilSettled(
  platform: PlatformProcess,
  ledger: string,
  trades: number,
): Promise<LedgerTrade[]> {
  let emitted: LedgerTrade[] = []
  await until('the ledger is written', async () => {
    emitted = (await readLedger(ledger)).slice(0, trades)
    return emitted.length === trades
  })
  const last = emitted.at(-1)?.ts ?? 0
  await until('everything up to a while after is stored', async () => {
    const [row] = await platform.sql<{ ts: string | null }>('select max(ts) as ts from trades')
    return (parseIsoMicros(row?.ts ?? '') ?? 0) > last + SETTLED_MICROS
  })
  return emitted
}

interface Gap {
  readonly exchange: string
  readonly symbol: string
  readonly from_ts: string
  readonly to_ts: string
}

/**
 * Trades that are not stored although no gap in `status` covers them. Only the next trade of a market shows its gap, and a gap has a way
 * of its own into the database: those are waited for.
 */
export async function missedOutsideGaps(
  platform: PlatformProcess,
  emitted: readonly LedgerTrade[],
): Promise<LedgerTrade[]> {
  let missed: LedgerTrade[] = []
  await until('what is missing lies in gaps', async () => {
    missed = await missedNow(platform, emitted)
    return missed.length === 0
    // Whoever asks names them.
  }).catch((error: unknown) => {
    if (missed.length === 0) throw error
  })
  return missed
}

async function missedNow(platform: PlatformProcess, emitted: readonly LedgerTrade[]): Promise<LedgerTrade[]> {
  const gaps = byMarket(
    await platform.sql<Gap>(`select exchange, symbol, from_ts, to_ts from status where state = 'gap'`),
  )
  const have = new Set((await storedTrades(platform)).map(tradeKey))
  return emitted.filter((trade) => {
    const isFlagged = gaps
      .get(marketOf(trade))
      ?.some(
        ({ from_ts, to_ts }) =>
          trade.ts >= (parseIsoMicros(from_ts) ?? 0) && trade.ts <= (parseIsoMicros(to_ts) ?? 0),
      )
    return !have.has(tradeKey(trade)) && !isFlagged
  })
}
