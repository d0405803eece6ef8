import { z } from 'zod'
import { type Market, type MarketQuery, marketSchema } from '../../domain/markets.ts'
import { readError } from './database-errors.ts'
import type { SqlParameter, SqlSession } from './session.ts'
import { readRows } from './values.ts'

const FLAT = z.object({
  ...marketSchema.omit({ listing: true }).shape,
  ...Object.fromEntries(
    ['name', 'base', 'quote', 'tick', 'lot', 'status', 'since'].map((column) => [
      column,
      z.string().nullable(),
    ]),
  ),
})
const ROWS = z.array(FLAT.transform(toMarket).pipe(marketSchema))

/**
 * The markets that have trades, from the candles of a day: a row for each market and day instead of all trades; and those that exchanges list. The first
 * and the last trade are looked up in their days only; where retention took them, the day's beginning stands for them.
 */
export async function markets(
  session: SqlSession,
  { exchange, symbols, search, stored, after, limit }: MarketQuery,
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
  const where = whereAll(conditions)
  const chosen = whereAll([
    ...(search === undefined ? [] : [searchCondition(search, parameter)]),
    ...(stored === undefined ? [] : [`trades is ${stored ? 'not null' : 'null'}`]),
  ])
  const edge = (day: string, order: 'asc' | 'desc') => `coalesce(
    (select t.ts from trades t where t.symbol = m.symbol and t.exchange = m.exchange
       and t.ts >= m.${day} and t.ts < m.${day} + interval '1 day' order by t.ts ${order} limit 1), m.${day})`
  const order = 'order by symbol collate "C", exchange collate "C"'
  try {
    const found = await session.rows(
      `select exchange, symbol, ${edge('first_day', 'asc')} as first, ${edge('last_day', 'desc')} as last,
         coalesce(trades, 0) as trades, name, base, quote, tick, lot, status, ts as since
       from (select exchange, symbol, first_day, last_day, trades, name, base, quote, tick, lot, status, ts
             from (select exchange, symbol, min(bucket) as first_day, max(bucket) as last_day, sum(trades)::bigint as trades
                   from candles_1d ${where} group by exchange, symbol) of_trades
             full join (select * from instruments ${where}) listed using (exchange, symbol)
             ${chosen} ${order} limit ${limit}) m
       ${order}`,
      parameters,
    )
    return ROWS.parse(readRows(found).rows)
  } catch (error) {
    throw readError(error)
  }
}

/** A row as it is answered: what the exchange says of the market stands by itself. */
function toMarket({ exchange, symbol, first, last, trades, ...listing }: z.output<typeof FLAT>): unknown {
  const { status = null } = listing as { readonly status?: string | null }
  return { exchange, symbol, first, last, trades, listing: status === null ? null : listing }
}

function whereAll(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`
}

/** A symbol, or those that a glob means. */
function symbolCondition(glob: string, parameter: (value: SqlParameter) => string): string {
  if (!glob.includes('*')) return `symbol = ${parameter(glob)}`
  return `symbol like ${parameter(patternOf(glob))}`
}

function searchCondition(words: string, parameter: (value: SqlParameter) => string): string {
  const pattern = parameter(patternOf(words.includes('*') ? words : `*${words}*`))
  return `(symbol ilike ${pattern} or name ilike ${pattern})`
}

function patternOf(glob: string): string {
  return glob.replace(/[\\%_]/g, '\\$&').replaceAll('*', '%')
}
