import { z } from 'zod'
import { type Market, type MarketQuery, marketSchema } from '../../domain/markets.ts'
import { readError } from './database-errors.ts'
import type { SqlParameter, SqlSession } from './session.ts'
import { readRows } from './values.ts'

const ROWS = z.array(marketSchema)

/**
 * The markets that have trades, from the candles of a day: a row for each market and day instead of all trades. The first and the last trade are
 * looked up in their days only; where retention took them, the day's beginning stands for them.
 */
export async function markets(
  session: SqlSession,
  { exchange, symbols, after, limit }: MarketQuery,
): Promise<readonly Market[]> {
  const parameters: SqlParameter[] = []
  const parameter = (value: SqlParameter) => `$${parameters.push(value)}`
  const conditions = [
    ...(exchange === undefined ? [] : [`exchange = ${parameter(exchange)}`]),
    ...(symbols === undefined ? [] : [symbolCondition(symbols, parameter)]),
    ...(after === undefined
      ? []
      : [
          `(symbol collate "C", exchange collate "C") > (${parameter(after.symbol)}, ${parameter(after.exchange)})`,
        ]),
  ]
  const where = conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`
  const edge = (day: string, order: 'asc' | 'desc') => `coalesce(
    (select t.ts from trades t where t.symbol = m.symbol and t.exchange = m.exchange
       and t.ts >= m.${day} and t.ts < m.${day} + interval '1 day' order by t.ts ${order} limit 1), m.${day})`
  try {
    const found = await session.rows(
      `select exchange, symbol, ${edge('first_day', 'asc')} as first, ${edge('last_day', 'desc')} as last, trades
       from (select exchange, symbol, min(bucket) as first_day, max(bucket) as last_day, sum(trades)::bigint as trades
             from candles_1d ${where} group by exchange, symbol
             order by symbol collate "C", exchange collate "C" limit ${limit}) m
       order by symbol collate "C", exchange collate "C"`,
      parameters,
    )
    return ROWS.parse(readRows(found).rows)
  } catch (error) {
    throw readError(error)
  }
}

/** A symbol, or those that a glob means. */
function symbolCondition(glob: string, parameter: (value: SqlParameter) => string): string {
  if (!glob.includes('*')) return `symbol = ${parameter(glob)}`
  const pattern = glob.replace(/[\\%_]/g, '\\$&').replaceAll('*', '%')
  return `symbol like ${parameter(pattern)}`
}
