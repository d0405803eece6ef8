import { z } from 'zod'
import { isoMicros } from '../../domain/time.ts'
import type { CandleQuery, StoredCandle, StoredTrade, TradeQuery } from '../../ports/store.ts'
import { bucketMicros, computedCandles, sourceCandles } from './candle-sources.ts'
import { readError } from './database-errors.ts'
import type { SqlParameter, SqlSession } from './session.ts'
import { hypertableId, type Layout, readInWindows, type TimeWindow } from './time-windows.ts'
import { readRows } from './values.ts'

/** The time that the first window of trades spans: enough for a busy market, whose rows then need not all be sorted. */
const FIRST_MICROS = 3_600_000_000

const TradeRow = z.object({
  exchange: z.string(),
  symbol: z.string(),
  id: z.string(),
  side: z.string(),
  price: z.number(),
  size: z.number(),
  ts: z.string(),
  recvTs: z.string(),
})

/** Trades of one time, latest first: by the value of ids that are digits, these before others, which are in the order of arrival. */
const LATEST_FIRST = `ts desc, (id = '' or translate(id, '0123456789', '') <> '') desc,
  case when translate(id, '0123456789', '') = '' then lpad(id, 128, '0') end collate "C" desc, recv_ts desc,
  id collate "C" desc, exchange desc`

/** The newest trades that match, oldest first. Those of the same time are in the order in which they count for candles. */
export function trades(session: SqlSession, query: TradeQuery): Promise<readonly StoredTrade[]> {
  return asReadErrors(async () => {
    const { symbol, from, to, limit } = query
    const id = await hypertableId(session, 'trades')
    const layout: Layout =
      id === undefined
        ? { kind: 'plain', rows: 'trades where symbol = $1', symbol }
        : { kind: 'chunks', of: [{ id }] }
    const wanted = { from, to, order: 'newest', limit, first: FIRST_MICROS, unit: 1 } as const
    const rows = await readInWindows(session, layout, wanted, (window, most) => {
      const { where, parameters } = conditions(query, 'ts', window)
      const sql = `select exchange, symbol, id, side, price, size, ts, recv_ts as "recvTs" from trades
        where ${where} order by ${LATEST_FIRST} limit ${most}`
      return parsed(session, sql, parameters, TradeRow)
    })
    return rows.reverse()
  })
}

const CandleRow = z.object({
  exchange: z.string(),
  symbol: z.string(),
  open: z.number(),
  high: z.number(),
  low: z.number(),
  close: z.number(),
  volume: z.number(),
  trades: z.number().nullable(),
  ts: z.string(),
})

/** The newest candles that match, oldest first: computed from trades, or as the source says. */
export function candles(session: SqlSession, query: CandleQuery): Promise<readonly StoredCandle[]> {
  return asReadErrors(async () => {
    const { interval, origin, symbol, from, to, limit } = query
    const { select, time, unit, layout } =
      origin === 'trades'
        ? await computedCandles(session, interval, symbol)
        : await sourceCandles(session, interval, symbol)
    const wanted = {
      from: from === undefined ? undefined : Math.ceil(from / unit) * unit,
      to: to === undefined ? undefined : Math.floor(to / unit) * unit + unit - 1,
      order: 'newest' as const,
      limit,
      first: bucketMicros(interval) * limit,
      unit,
    }
    const rows = await readInWindows(session, layout, wanted, (window, most) => {
      const { where, parameters } = conditions(query, time, window)
      const sql = `select exchange, symbol, open, high, low, close, volume, trades, bucket as ts
        from (${select(where)}) c order by bucket desc, exchange desc limit ${most}`
      return parsed(session, sql, parameters, CandleRow)
    })
    return rows.reverse().map((row) => ({ ...row, interval, origin }))
  })
}

/** The market, and the window. */
function conditions(
  { symbol, exchange }: Pick<TradeQuery, 'symbol' | 'exchange'>,
  time: string,
  { low, high }: TimeWindow,
): { readonly where: string; readonly parameters: readonly SqlParameter[] } {
  const parameters = [symbol, isoMicros(low), isoMicros(high)]
  const where = `symbol = $1 and ${time} >= $2 and ${time} < $3`
  return exchange === undefined
    ? { where, parameters }
    : { where: `${where} and exchange = $4`, parameters: [...parameters, exchange] }
}

async function parsed<T>(
  session: SqlSession,
  sql: string,
  parameters: readonly SqlParameter[],
  row: z.ZodType<T>,
): Promise<T[]> {
  return z.array(row).parse(readRows(await session.rows(sql, parameters)).rows)
}

async function asReadErrors<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    throw readError(error)
  }
}
