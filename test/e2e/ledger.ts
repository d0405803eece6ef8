import { readFile } from 'node:fs/promises'
import { parseIsoMicros } from '../../src/domain/time.ts'
import type { PlatformProcess } from './platform-process.ts'

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

export async function readLedger(path: string): Promise<LedgerTrade[]> {
  const text = await readFile(path, 'utf8')
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as LedgerTrade)
}

const PAGE = 5_000

/** All rows of `trades`, in pages. */
export async function storedTrades(platform: PlatformProcess): Promise<LedgerTrade[]> {
  const trades: LedgerTrade[] = []
  for (;;) {
    const rows = await platform.sql<LedgerTrade & { ts: string }>(
      `select exchange, symbol, id, side, price, size, ts from trades order by exchange, symbol, ts, id limit ${PAGE} offset ${trades.length}`,
    )
    trades.push(...rows.map((row) => ({ ...row, ts: parseIsoMicros(row.ts) ?? -1 })))
    if (rows.length < PAGE) return trades
  }
}

/** The trades that `tail --json` printed, in its order. */
export function parseTail(stdout: string): LedgerTrade[] {
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as LedgerTrade)
}

/** Splits trades by market, keeping their order. */
export function byMarket(trades: readonly LedgerTrade[]): Map<string, LedgerTrade[]> {
  return Map.groupBy(trades, marketOf) as Map<string, LedgerTrade[]>
}
