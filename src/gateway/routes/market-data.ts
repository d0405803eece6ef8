import { z } from 'zod'
import { INTERVALS } from '../../domain/events.ts'
import { exchangeSchema, symbolSchema } from '../../domain/market-names.ts'
import { MOMENT_FORMS } from '../../domain/moment.ts'
import { decodeRowCursor, encodeRowCursor, pageOf, ROW_ORDERS } from '../../domain/row-cursor.ts'
import type { RowChannel, StoredRow } from '../../domain/stored-rows.ts'
import { TapelineError } from '../../errors.ts'
import type { RowQuery, Store } from '../../ports/store.ts'
import { requireOperator } from '../guard.ts'
import { candlesSchema, intervalSchema, quotesSchema, sqlResultSchema, tradesSchema } from '../schemas.ts'
import { callerIn, deadlineOf, type GatewayServer } from '../server.ts'
import { timeSchema } from '../validation.ts'

const MOST_ROWS = 10_000
/** An answer to SQL may be larger where the caller asks for it: the store bounds it in bytes as well. */
const MOST_SQL_ROWS = 1_000_000
const SQL_MS = 10_000

/** Parameters that choose a market, a time and a page. */
const rowsQuery = {
  symbol: symbolSchema.describe('One symbol, BASE-QUOTE in any case, such as BTC-USD.'),
  exchange: exchangeSchema.optional().describe('One exchange, such as coinbase; left out means all.'),
  from: timeSchema('first').optional().describe(`First event time: ${MOMENT_FORMS}.`),
  to: timeSchema('last').optional().describe('Last event time, written as from; the end is included.'),
  order: z
    .enum(ROW_ORDERS)
    .optional()
    .describe(
      'asc: from the oldest on; desc: from the newest back; left out: the newest, given with the oldest first.',
    ),
  cursor: z
    .string()
    .optional()
    .describe(
      'next of an answer: with asc what comes after it, with desc or without order what comes before it.',
    ),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(MOST_ROWS)
    .default(1000)
    .describe(`At most so many, 1 to ${MOST_ROWS}.`),
}

const candlesQuery = {
  ...rowsQuery,
  interval: intervalSchema.default('1m').describe(`${INTERVALS.join(', ')}.`),
  origin: z
    .enum(['trades', 'source'])
    .default('trades')
    .describe('trades: computed here from the stored trades; source: what the source says.'),
}

const tags = ['market data']
const description =
  'By event time. Rows of one time have an order of their own that never changes, so that pages neither leave out nor repeat a row while others arrive; what arrives for a time that was passed already is not seen.'
const errors = ['INPUT_INVALID', 'CURSOR_INVALID', 'STORE_UNAVAILABLE', 'TIMEOUT'] as const

/** What TimescaleDB holds. */
export function registerMarketData(app: GatewayServer, store: Store): void {
  app.route({
    method: 'GET',
    url: '/v1/trades',
    schema: {
      operationId: 'listTrades',
      summary: 'Stored trades of a symbol',
      description,
      tags,
      querystring: z.strictObject(rowsQuery),
      response: { 200: tradesSchema },
    },
    config: { errors },
    handler: async ({ query }, reply) => {
      const ask = (wanted: RowQuery) => store.trades(wanted, deadlineOf(reply))
      const { rows: trades, next } = await readPage('trade', query.symbol, query, ask)
      return { trades, next }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/quotes',
    schema: {
      operationId: 'listQuotes',
      summary: 'Stored quotes of a symbol',
      description,
      tags,
      querystring: z.strictObject(rowsQuery),
      response: { 200: quotesSchema },
    },
    config: { errors },
    handler: async ({ query }, reply) => {
      const ask = (wanted: RowQuery) => store.quotes(wanted, deadlineOf(reply))
      const { rows: quotes, next } = await readPage('quote', query.symbol, query, ask)
      return { quotes, next }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/candles',
    schema: {
      operationId: 'listCandles',
      summary: 'Candles of a symbol',
      description,
      tags,
      querystring: z.strictObject(candlesQuery),
      response: { 200: candlesSchema },
    },
    config: { errors },
    handler: async ({ query }, reply) => {
      const { interval, origin, ...range } = query
      const ask = (wanted: RowQuery) => store.candles({ ...wanted, interval, origin }, deadlineOf(reply))
      const of = `${query.symbol}:${interval}:${origin}`
      const { rows: candles, next } = await readPage('candle', of, range, ask)
      return { candles, next }
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/sql',
    schema: {
      operationId: 'sql',
      summary: 'One read-only SQL statement',
      description: `From this machine or with the admin key; at most ${SQL_MS / 1000} s.`,
      tags,
      body: z.strictObject({
        sql: z.string().min(1).max(20_000).describe('One statement: select, with, show, explain or values.'),
        maxRows: z
          .number()
          .int()
          .min(1)
          .max(MOST_SQL_ROWS)
          .default(MOST_ROWS)
          .describe('An answer with more rows is refused.'),
      }),
      response: { 200: sqlResultSchema },
    },
    config: {
      errors: [
        'INPUT_INVALID',
        'BODY_NOT_JSON',
        'FORBIDDEN',
        'SQL_INVALID',
        'SQL_READ_ONLY',
        'SQL_TOO_LARGE',
        'TIMEOUT',
      ],
    },
    preValidation: async (request) => requireOperator(callerIn(request)),
    handler: ({ body }, reply) =>
      store.query(body.sql, { maxRows: body.maxRows, timeoutMs: SQL_MS }, deadlineOf(reply)),
  })
}

/** What one page is asked by. */
type PageQuery = z.output<z.ZodObject<typeof rowsQuery>>

/** Reads one page, and one row more, which tells whether there are others. Raises INPUT_INVALID, CURSOR_INVALID. */
async function readPage<C extends RowChannel>(
  channel: C,
  of: string,
  { cursor, ...range }: PageQuery,
  ask: (query: RowQuery) => Promise<readonly StoredRow<C>[]>,
): Promise<{ readonly rows: readonly StoredRow<C>[]; readonly next: string | null }> {
  refuseBackwards(range)
  const scope = `${channel}:${of}`
  const after = cursor === undefined ? undefined : decodeRowCursor(cursor, channel, scope)
  const { limit, order } = range
  const found = await ask(withoutUndefined({ ...range, after, limit: limit + 1 }))
  const { rows, next } = pageOf(channel, found, { limit, order, after })
  return { rows, next: next === undefined ? null : encodeRowCursor(scope, next) }
}

function refuseBackwards({ from, to }: { from?: number | undefined; to?: number | undefined }): void {
  if (from === undefined || to === undefined || from <= to) return
  throw new TapelineError('INPUT_INVALID', 'from lies after to', {
    fields: [{ field: 'from', value: from, message: 'lies after to', remedy: 'Exchange from and to.' }],
  })
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> }

/** The same object without the fields that are undefined. */
function withoutUndefined<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>
}
