import { z } from 'zod'
import { type RowPosition, rowsAfter } from '../../domain/row-cursor.ts'
import { literal } from '../../domain/sql-literal.ts'
import {
  columnsOf,
  type RowChannel,
  rowSchema,
  STORED_ROWS,
  type StoredRow,
} from '../../domain/stored-rows.ts'
import { isoMicros, parseIsoMicros } from '../../domain/time.ts'
import type { CandleQuery, RowQuery } from '../../ports/store.ts'
import { bucketMicros, type CandleSource, computedCandles, sourceCandles } from './candle-sources.ts'
import { readError } from './database-errors.ts'
import { marketTimes } from './market-times.ts'
import { atOrAfter, orderBy } from './row-order.ts'
import type { SqlParameter, SqlSession } from './session.ts'
import { hypertableId, type Layout, readInWindows, type TimeWindow } from './time-windows.ts'
import { readRows } from './values.ts'

/** The time that the first window of trades spans: enough for a busy market, whose rows then need not all be sorted. */
const FIRST_MICROS = 3_600_000_000

/** How the rows of a window are read. */
interface RowStatement {
  /** A statement for the rows that match, with the channel's columns under the names of answers, in any order. */
  readonly select: (where: string) => string
  /** The column that bounds in time are for. */
  readonly time: string
}

/** Where the rows of a channel are read. */
interface RowSource extends RowStatement {
  /** How windows above a time (microseconds) are read, where that costs less. */
  readonly above?: RowStatement & { readonly low: number }
  readonly layout: Layout
  /** The time that the first window spans, and what windows begin and end at a multiple of; microseconds. */
  readonly first: number
  readonly unit: number
}

const ROWS: { readonly [C in RowChannel]: z.ZodType<StoredRow<C>[]> } = {
  trade: z.array(rowSchema(STORED_ROWS.trade.columns)),
  quote: z.array(rowSchema(STORED_ROWS.quote.columns)),
  candle: z.array(rowSchema(STORED_ROWS.candle.columns)),
}

/** The trades that match. Those of the same time are in the order in which they count for candles. */
export function trades(session: SqlSession, query: RowQuery): Promise<readonly StoredRow<'trade'>[]> {
  return read(session, 'trade', query, () => tableSource(session, 'trade', 'trades', query))
}

/** The quotes that match. */
export function quotes(session: SqlSession, query: RowQuery): Promise<readonly StoredRow<'quote'>[]> {
  return read(session, 'quote', query, () => tableSource(session, 'quote', 'quotes', query))
}

/** The candles that match: computed from trades, or as the source says. */
export function candles(session: SqlSession, query: CandleQuery): Promise<readonly StoredRow<'candle'>[]> {
  const { interval, origin, limit } = query
  return read(session, 'candle', query, async () => {
    const source = await (origin === 'trades' ? computedCandles : sourceCandles)(session, interval, query)
    const asRows = ({ select, time }: Pick<CandleSource, 'select' | 'time'>): RowStatement => ({
      time,
      select: (where) =>
        `select exchange, symbol, ${literal(interval)} as "interval", open, high, low, close, volume, trades, bucket as ts,
         ${literal(origin)} as origin
       from (${select(where)}) c`,
    })
    const { above, layout, unit } = source
    return {
      ...asRows(source),
      ...(above && { above: { low: above.low, ...asRows(above.source) } }),
      ...{ layout, unit, first: bucketMicros(interval) * limit },
    }
  })
}

/** A table whose columns are those of the channel, in the database's spelling. */
async function tableSource(
  session: SqlSession,
  channel: 'trade' | 'quote',
  table: string,
  query: RowQuery,
): Promise<RowSource> {
  const { symbol } = query
  const id = await hypertableId(session, table)
  const layout: Layout =
    id === undefined
      ? { kind: 'plain', rows: `${table} where symbol = $1`, symbol }
      : {
          kind: 'chunks',
          of: [{ id }],
          ...(channel === 'trade' && {
            times: () => marketTimes(session, id, query),
          }),
        }
  const columns = columnsOf(channel).map(([name]) => `${inDatabase(name)} as "${name}"`)
  return {
    select: (where) => `select ${columns.join(', ')} from ${table} where ${where}`,
    time: 'ts',
    layout,
    first: FIRST_MICROS,
    unit: 1,
  }
}

/** `volume24h` is `volume_24h`. */
function inDatabase(name: string): string {
  return name.replace(/[A-Z]|\d+/g, (part) => `_${part.toLowerCase()}`)
}

/**
 * The rows of a channel that match, at most `limit`, in the order of the query; without one those at the newer end, with the
 * oldest first.
 */
async function read<C extends RowChannel>(
  session: SqlSession,
  channel: C,
  query: RowQuery,
  findSource: () => Promise<RowSource>,
): Promise<readonly StoredRow<C>[]> {
  const { after, limit } = query
  const order = query.order ?? 'desc'
  try {
    const source = await findSource()
    const { layout, first, unit, above } = source
    const { from, to } = bounds(query)
    const wanted = {
      from: from === undefined ? undefined : Math.ceil(from / unit) * unit,
      to: to === undefined ? undefined : Math.floor(to / unit) * unit + unit - 1,
      order: order === 'asc' ? ('oldest' as const) : ('newest' as const),
      // The position's own rows come again, and are left out below.
      limit: limit + (after?.given ?? 0),
      first,
      unit,
    }
    const found = await readInWindows(session, layout, wanted, async (window, most) => {
      const { select, time } = above !== undefined && window.low >= above.low ? above : source
      const { where, parameters } = conditions(query, time, window)
      const rest = after === undefined ? '' : `where ${atOrAfter(channel, after, order, parameters)}`
      const sql = `select * from (${select(where)}) r ${rest} order by ${orderBy(channel, order)} limit ${most}`
      return ROWS[channel].parse(readRows(await session.rows(sql, parameters)).rows)
    })
    const rows = after === undefined ? found : rowsAfter(channel, found, after)
    const page = rows.slice(0, limit)
    return query.order === undefined ? page.reverse() : page
  } catch (error) {
    throw readError(error)
  }
}

/** The time that the rows lie in: what was asked for, from the position on. */
function bounds({ from, to, order, after }: RowQuery): { readonly from?: number; readonly to?: number } {
  const at = after === undefined ? undefined : timeOf(after)
  const range = { ...(from !== undefined && { from }), ...(to !== undefined && { to }) }
  if (at === undefined) return range
  return order === 'asc'
    ? { ...range, from: Math.max(at, from ?? at) }
    : { ...range, to: Math.min(at, to ?? at) }
}

/** The time of a position, which is the first of every key. */
function timeOf({ key }: RowPosition): number | undefined {
  return parseIsoMicros(String(key[0]))
}

/** The market, and the window. */
function conditions(
  { symbol, exchange }: Pick<RowQuery, 'symbol' | 'exchange'>,
  time: string,
  { low, high }: TimeWindow,
): { readonly where: string; readonly parameters: SqlParameter[] } {
  const parameters = [symbol, isoMicros(low), isoMicros(high)]
  const where = `symbol = $1 and ${time} >= $2 and ${time} < $3`
  return exchange === undefined
    ? { where, parameters }
    : { where: `${where} and exchange = $4`, parameters: [...parameters, exchange] }
}
