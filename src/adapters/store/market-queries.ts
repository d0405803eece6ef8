import { z } from 'zod'
import { isoMicros } from '../../domain/time.ts'
import type { CandleQuery, StoredCandle, StoredTrade, TradeQuery } from '../../ports/store.ts'
import { readError } from './database-errors.ts'
import type { SqlParameter, SqlSession } from './session.ts'
import { readRows } from './values.ts'

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
  const { where, parameters } = conditions(query, 'ts')
  return newest(
    session,
    `select exchange, symbol, id, side, price, size, ts, recv_ts as "recvTs" from trades
     where ${where} order by ${LATEST_FIRST} limit ${query.limit}`,
    parameters,
    TradeRow,
  )
}

const COMPUTED: Readonly<Record<CandleQuery['interval'], string>> = {
  '1m': 'candles_1m',
  '5m': 'candles_5m',
  '15m': 'candles_15m',
  '1h': 'candles_1h',
  '4h': 'candles_4h',
  '1d': 'candles_1d',
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
export async function candles(session: SqlSession, query: CandleQuery): Promise<readonly StoredCandle[]> {
  const { interval, origin, limit } = query
  const time = origin === 'trades' ? 'bucket' : 'ts'
  const { where, parameters } = conditions(query, time)
  const from =
    origin === 'trades' ? `${COMPUTED[interval]} where` : `candles where "interval" = '${interval}' and`
  const rows = await newest(
    session,
    `select exchange, symbol, open, high, low, close, volume, trades, ${time} as ts from ${from} ${where}
     order by ${time} desc, exchange desc limit ${limit}`,
    parameters,
    CandleRow,
  )
  return rows.map((row) => ({ ...row, interval, origin }))
}

type Market = Pick<TradeQuery, 'exchange' | 'symbol' | 'from' | 'to'>

function conditions(
  { symbol, exchange, from, to }: Market,
  time: string,
): { readonly where: string; readonly parameters: readonly SqlParameter[] } {
  const parameters: SqlParameter[] = [symbol]
  const terms = ['symbol = $1']
  const add = (term: string, value: SqlParameter) => terms.push(`${term} $${parameters.push(value)}`)
  if (exchange !== undefined) add('exchange =', exchange)
  if (from !== undefined) add(`${time} >=`, isoMicros(from))
  if (to !== undefined) add(`${time} <=`, isoMicros(to))
  return { where: terms.join(' and '), parameters }
}

/** The rows of a statement that asks for the newest first, oldest first. */
async function newest<T>(
  session: SqlSession,
  sql: string,
  parameters: readonly SqlParameter[],
  row: z.ZodType<T>,
): Promise<T[]> {
  try {
    const { rows } = readRows(await session.rows(sql, parameters))
    return z.array(row).parse(rows).reverse()
  } catch (error) {
    throw readError(error)
  }
}
