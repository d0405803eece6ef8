import { TapelineError } from '../../errors.ts'
import type { SqlResult } from '../../ports/store.ts'
import { queryError } from './database-errors.ts'
import { records, type SqlRows, type SqlSession } from './session.ts'
import { readRows } from './values.ts'

/** What an application asks of the database, and how much of it. */
export interface ReadOnlyQuery {
  readonly sql: string
  readonly maxRows: number
  readonly timeoutMs: number
}

const MAX_BYTES = 64 * 1024 * 1024
/** How long a statement may wait for a lock: whoever changes the schema must not wait in line after it. */
const LOCK_MS = 2000

const QUERIES = ['select', 'with', 'values', 'table']
/** Their answers are brief, unless a plan has a constant of any size. */
const WITHOUT_CURSOR = ['show', 'explain']

/**
 * Runs one statement that only reads. Four fences, of which the database holds three: the first word; no function that it
 * declares volatile, but for a few harmless ones, since `set_config` or `pg_read_file` work in a read-only transaction
 * too; the extended protocol, which takes one statement; and a read-only transaction, which is always rolled back.
 *
 * Raises SQL_READ_ONLY, SQL_INVALID, SQL_TOO_LARGE (more than `maxRows` rows, or 64 MiB), TIMEOUT.
 */
export async function readOnlyQuery(session: SqlSession, query: ReadOnlyQuery): Promise<SqlResult> {
  const word = checkWords(query.sql)
  await refuseSideEffects(session, query.sql)
  await session.execute(
    `begin transaction read only; set local statement_timeout = ${Math.max(1, Math.trunc(query.timeoutMs))};
     set local lock_timeout = ${LOCK_MS}`,
  )
  const { sql, maxRows } = query
  let found: SqlRows
  try {
    const takesCursor = !WITHOUT_CURSOR.includes(word)
    found = await session.firstRows(sql, { mostRows: maxRows + 1, mostBytes: MAX_BYTES, takesCursor })
  } catch (error) {
    // A session that cannot roll back is lost and will be replaced; why the statement failed says more.
    await session.rollback().catch(() => undefined)
    throw queryError(error)
  }
  await session.rollback()
  if (found.rows.length > maxRows)
    throw new TapelineError('SQL_TOO_LARGE', `The answer has more than ${maxRows} rows.`)
  return readRows(found)
}

/** The first word of the statement, and of what `explain` explains. Raises SQL_READ_ONLY. */
function checkWords(sql: string): string {
  const [word = '', ...rest] = leadingWords(sql)
  const explained = rest.find((each) => !['analyze', 'analyse', 'verbose'].includes(each)) ?? ''
  if (QUERIES.includes(word) || word === 'show') return word
  if (word === 'explain' && QUERIES.includes(explained)) return word
  if (word === '') throw new TapelineError('SQL_INVALID', 'There is no statement.')
  const what = (word === 'explain' ? `explain ${explained}` : word).toUpperCase()
  throw new TapelineError('SQL_READ_ONLY', `This way in is for reading only; it takes no ${what}.`)
}

const SKIPPED = /\s+|--[^\n]*|\/\*.*?\*\//sy
const WORD = /[a-z_]+/iy
const OPTIONS = /\((?!\s*(?:select|with|values|table)\b)[^()]*\)/iy

/**
 * The words before anything else stands: opening brackets are passed over, and the bracketed options of `explain`.
 * Nothing depends on its exactness but the wording of errors and whether the answer comes in pieces.
 */
function leadingWords(sql: string): string[] {
  const words: string[] = []
  let at = 0
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    const found = pattern.exec(sql)?.[0]
    at += found?.length ?? 0
    return found
  }
  while (at < sql.length && words.length < 4) {
    if (take(SKIPPED) !== undefined) continue
    if (words.length === 1 && words[0] === 'explain' && take(OPTIONS) !== undefined) continue
    if (sql[at] === '(') {
      at++
      continue
    }
    const word = take(WORD)
    if (word === undefined) break
    words.push(word.toLowerCase())
  }
  return words
}

/** Functions that PostgreSQL and TimescaleDB declare volatile, but that change nothing. */
const HARMLESS = [
  'approximate_row_count',
  'array_sample',
  'array_shuffle',
  'bernoulli',
  'chunks_detailed_size',
  'clock_timestamp',
  'gen_random_uuid',
  'generate_uuidv7',
  'hypertable_approximate_detailed_size',
  'hypertable_approximate_size',
  'hypertable_detailed_size',
  'hypertable_index_size',
  'hypertable_size',
  'interpolate',
  'locf',
  'pg_database_size',
  'pg_indexes_size',
  'pg_relation_size',
  'pg_table_size',
  'pg_total_relation_size',
  'random',
  'random_normal',
  'system',
  'time_bucket_gapfill',
  'timeofday',
]

/**
 * Looks at every word of the text, wherever it stands: a text in quotes that names such a function is refused as well,
 * and nothing can hide from a word search what hides from a parser.
 */
async function refuseSideEffects(session: SqlSession, sql: string): Promise<void> {
  if (sql.includes('\0')) throw new TapelineError('SQL_INVALID', 'The statement holds a zero byte.')
  if (/u&\s*"/i.test(sql)) {
    throw new TapelineError('SQL_READ_ONLY', 'Names with Unicode escapes (U&"...") are not taken here.')
  }
  const words = new Set(sql.toLowerCase().match(/[a-z0-9_\u0080-\uffff]+/g))
  for (const name of HARMLESS) words.delete(name)
  const found = await session.rows(
    `select distinct proname as name from pg_proc
     where provolatile = 'v' and lower(proname) in (select jsonb_array_elements_text($1::jsonb)) order by 1 limit 1`,
    [JSON.stringify([...words])],
  )
  const [refused] = records(found)
  if (refused !== undefined) {
    throw new TapelineError(
      'SQL_READ_ONLY',
      `The function ${refused['name']} may have side effects; this way in is for reading only.`,
    )
  }
}

/** The error of an answer that is larger than it may be. */
export function answerTooLarge(bytes: number): TapelineError {
  return new TapelineError('SQL_TOO_LARGE', `The answer is larger than ${bytes / 2 ** 20} MiB.`)
}

/** The error of a statement that took too long. */
export function timedOut(timeoutMs: number): TapelineError {
  return new TapelineError('TIMEOUT', `The statement took longer than ${timeoutMs} ms and was ended.`, {
    remedy: 'Ask for less: a shorter time range, fewer markets, or an aggregate such as candles_1h.',
  })
}
