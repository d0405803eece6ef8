import { answerTooLarge } from '../read-only-query.ts'
import { DatabaseError, type RowLimits, type SqlRows, type SqlSession } from '../session.ts'

const CURSOR = 'declare tapeline_query no scroll cursor for '

/** The most rows of one piece, and how much larger each piece may be than the one before: the first is one row. */
const FETCH_ROWS = 1000
const FETCH_GROWTH = 8

/**
 * The first rows of one statement, within a transaction, in pieces: what one piece holds is in memory as a whole before it can be
 * counted. Each is therefore as large as would still fit if all its rows were as wide as the widest so far. Raises
 * SQL_TOO_LARGE, and DatabaseError with the place in the statement as it was given.
 */
export async function cursorRows(
  session: Pick<SqlSession, 'rows'>,
  sql: string,
  { mostRows, mostBytes }: RowLimits,
): Promise<SqlRows> {
  await declare(session, sql)
  const rows: SqlRows['rows'][number][] = []
  let bytes = 0
  let widest = 1
  for (let wanted = 1; ; ) {
    const most = Math.min(wanted, mostRows - rows.length)
    const part = await session.rows(`fetch ${most} from tapeline_query`)
    for (const row of part.rows) {
      rows.push(row)
      const width = widthOf(row)
      bytes += width
      widest = Math.max(widest, width)
    }
    if (bytes > mostBytes) throw answerTooLarge(mostBytes)
    if (part.rows.length < most || rows.length === mostRows) return { columns: part.columns, rows }
    const fit = Math.ceil((mostBytes - bytes) / widest)
    wanted = Math.max(1, Math.min(most * FETCH_GROWTH, FETCH_ROWS, fit))
  }
}

/** An answer that came in one piece. Raises SQL_TOO_LARGE. */
export function wholeRows(found: SqlRows, { mostBytes }: Pick<RowLimits, 'mostBytes'>): SqlRows {
  if (found.rows.reduce((sum, row) => sum + widthOf(row), 0) > mostBytes) throw answerTooLarge(mostBytes)
  return found
}

function widthOf(row: SqlRows['rows'][number]): number {
  return row.reduce((sum, value) => sum + (value?.length ?? 0), 0)
}

async function declare(session: Pick<SqlSession, 'rows'>, sql: string): Promise<void> {
  try {
    await session.rows(CURSOR + sql)
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.position === undefined) throw error
    const { message, sqlState, detail, position } = error
    throw new DatabaseError(message, sqlState, detail, position - CURSOR.length)
  }
}
