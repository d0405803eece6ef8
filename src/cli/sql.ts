import { TapelineError } from '../errors.ts'
import { sqlResultSchema } from '../gateway/schemas/market-data.ts'
import type { SqlResult } from '../ports/store.ts'
import { openStoreAlone } from '../topology/engines.ts'
import { type ApiClient, TARGET_HELP, TARGET_OPTIONS, targetConfig, throughPlatformOr } from './api-client.ts'
import { type Command, countFlag, expectWords, type Flags } from './command.ts'
import { openLog } from './platform-flags.ts'
import { printTable } from './table.ts'

const HELP = `
Usage: tapeline sql "SELECT ..." [--json] [--max-rows N] [--data DIR] [--config FILE] [--api URL]

Runs one read-only statement on the database: through the platform while one runs, else on the server
that the configuration names, or the data folder itself. Tables: trades, quotes, candles, status,
instruments, and the views candles_1m, candles_5m, candles_15m, candles_1h, candles_4h, candles_1d. Times are UTC with
microseconds; integers beyond 2^53 are text. Cells that are wider than the terminal are cut (without one
after 200 characters): --json prints all.

  --json          print one JSON array of row objects
  --max-rows N    refuse an answer with more rows (default: 100000, at most 1000000)
${TARGET_HELP}

Examples:
  tapeline sql "select exchange, symbol, count(*) from trades group by 1, 2 order by 3 desc"
  tapeline sql "select * from candles_1m where symbol = 'BTC-USD' order by 1 desc limit 10"
  tapeline sql --json "select id, price, size, ts from trades order by ts desc limit 5"
`

const DEFAULT_ROWS = 100_000
const MOST_ROWS = 1_000_000
const QUERY_MS = 60_000

export const command: Command = {
  name: 'sql',
  help: HELP,
  options: { ...TARGET_OPTIONS, json: { type: 'boolean' }, 'max-rows': { type: 'string' } },
  async run(flags, words, terminal) {
    expectWords(words, 'the statement', 1)
    const [sql = ''] = words
    const maxRows = rowLimit(flags)
    const result = await query(flags, sql, maxRows, terminal.signal).catch(namingMaxRows)
    if (flags['json']) {
      terminal.print(JSON.stringify(result.rows))
      return 0
    }
    const { columns, rows } = result
    await printTable(terminal, columns, rows, (row) => columns.map((column) => cellOf(row[column])))
    terminal.note(result.rows.length === 1 ? '1 row' : `${result.rows.length} rows`)
    return 0
  },
}

function rowLimit(flags: Flags): number {
  const rows = countFlag(flags, 'max-rows', 1) ?? DEFAULT_ROWS
  if (rows <= MOST_ROWS) return rows
  throw new TapelineError('USAGE', `--max-rows takes at most ${MOST_ROWS}`)
}

function namingMaxRows(error: unknown): never {
  if (!(error instanceof TapelineError) || error.code !== 'SQL_TOO_LARGE') throw error
  const remedy =
    'Bound ts, add a limit, aggregate, or raise --max-rows; tapeline export writes any number of rows.'
  throw new TapelineError('SQL_TOO_LARGE', error.message, { cause: error, remedy })
}

/** Asks one read-only statement: of the platform where one runs, else of its data. Raises what both do. */
export function query(flags: Flags, sql: string, maxRows: number, signal: AbortSignal): Promise<SqlResult> {
  return throughPlatformOr(
    flags,
    (client) => queryPlatform(client, sql, maxRows, signal),
    () => queryStore(flags, sql, maxRows, signal),
  )
}

function queryPlatform(
  client: ApiClient,
  sql: string,
  maxRows: number,
  signal: AbortSignal,
): Promise<SqlResult> {
  return client.call('/v1/sql', sqlResultSchema, signal, { method: 'POST', body: { sql, maxRows } })
}

async function queryStore(
  flags: Flags,
  sql: string,
  maxRows: number,
  signal: AbortSignal,
): Promise<SqlResult> {
  const config = targetConfig(flags)
  const log = openLog(config.log.level)
  const { store, close } = await openStoreAlone(config, log, signal, { mustExist: true })
  try {
    return await store.query(sql, { maxRows, timeoutMs: QUERY_MS }, signal)
  } finally {
    await close()
  }
}

function cellOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? null)
}
