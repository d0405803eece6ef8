import { parseIsoMicros } from '../domain/time.ts'
import { TARGET_HELP, TARGET_OPTIONS } from './api-client.ts'
import { type AuditedDay, auditDays } from './audit/days.ts'
import { type Command, expectWords, type Flags } from './command.ts'
import { marketFlag } from './market-flag.ts'
import { query } from './sql.ts'
import { printTable } from './table.ts'
import { timeFlag } from './time-flag.ts'

const HELP = `
Usage: tapeline audit [--market EXCHANGE:SYMBOL] [--from T] [--to T] [--json]

Looks at what is stored of each market on each day (UTC) and says what is missing: gaps that nothing has filled, trades
that are there twice, ids that skip where an exchange numbers its trades one by one (Binance, Coinbase), and candles of
a day that count other trades than are there. It asks the running platform, or the data folder where none runs. Exit
code 1: something is missing or twice.

  --market M   one market, such as kraken:BTC-USD (default: all)
  --from T     first day: 30d, 2026-01-31 (default: 7d)
  --to T       last day, written as --from (default: today)
  --json       print {"days": [...], "ok": true} with every number
${TARGET_HELP}

LATE are trades that arrived more than a minute after they happened, as those of history do. CANDLES says "behind" while
the database has not computed anew what was changed by them, which it does by itself within the hour.

Examples:
  tapeline audit
  tapeline audit --market kraken:BTC-USD --from 2026-01-01 --json
`

const DAY = 86_400_000_000
const USUAL_DAYS = 7

export const command: Command = {
  name: 'audit',
  help: HELP,
  options: {
    ...TARGET_OPTIONS,
    market: { type: 'string' },
    from: { type: 'string' },
    to: { type: 'string' },
    json: { type: 'boolean' },
  },
  async run(flags, words, terminal) {
    expectWords(words, '', 0)
    const now = Date.now() * 1_000
    const ask = async (sql: string) => (await query(flags, sql, MOST_ROWS, terminal.signal)).rows
    const days = await auditDays(ask, {
      market: marketFlag(flags),
      from: dayOf(flags, 'from', 'first') ?? dayBegin(now - (USUAL_DAYS - 1) * DAY),
      to: (dayOf(flags, 'to', 'last') ?? dayBegin(now)) + DAY,
    })
    const ok = days.every(isWhole)
    if (flags['json']) {
      terminal.print(JSON.stringify({ days, ok }))
      return ok ? 0 : 1
    }
    if (days.length === 0) terminal.note('Nothing is stored of these days.')
    const columns = ['MARKET', 'DAY', 'TRADES', 'GAPS', 'MISSING', 'TWICE', 'SKIPPED', 'LATE', 'CANDLES']
    await printTable(terminal, columns, days, cellsOf)
    for (const { market, gaps } of days)
      for (const { from, to, cause } of gaps)
        terminal.note(`gap of ${market}: ${from} to ${to} (${cause ?? 'unknown'})`)
    terminal.note(ok ? 'Nothing is missing.' : 'Something is missing: tapeline backfill may fill it.')
    return ok ? 0 : 1
  },
}

/** A row a market and day of some years. */
const MOST_ROWS = 1_000_000

function dayBegin(micros: number): number {
  return micros - (micros % DAY)
}

/** The beginning of the day that a flag names, in microseconds. Raises USAGE. */
function dayOf(flags: Flags, name: string, end: 'first' | 'last'): number | undefined {
  const text = timeFlag(flags, name, end)
  const micros = text === undefined ? undefined : parseIsoMicros(text)
  return micros === undefined ? undefined : dayBegin(micros)
}

/** Candles that are behind come by themselves. */
function isWhole({ gaps, twice, skipped }: AuditedDay): boolean {
  return gaps.length === 0 && twice === 0 && (skipped ?? 0) === 0
}

function cellsOf({ market, day, trades, gaps, missingSeconds, twice, skipped, late, candles }: AuditedDay) {
  const seconds = gaps.length === 0 ? '' : `${Math.round(missingSeconds)} s`
  const behind = candles === trades ? 'ok' : `behind (${candles})`
  return [
    ...[market, day.slice(0, 10), String(trades), String(gaps.length), seconds, String(twice)],
    ...[skipped === null ? '' : String(skipped), String(late), behind],
  ]
}
