import { z } from 'zod'
import { INTERVALS } from '../../domain/events.ts'
import { exchangeSchema, symbolSchema } from '../../domain/market-names.ts'
import { MOMENT_FORMS } from '../../domain/moment.ts'
import { TapelineError } from '../../errors.ts'
import type { Store } from '../../ports/store.ts'
import { requireOperator } from '../guard.ts'
import { candlesSchema, intervalSchema, sqlResultSchema, tradesSchema } from '../schemas.ts'
import { callerIn, deadlineOf, type GatewayServer } from '../server.ts'
import { timeSchema } from '../validation.ts'

const MOST_ROWS = 10_000
/** An answer to SQL may be larger where the caller asks for it: the store bounds it in bytes as well. */
const MOST_SQL_ROWS = 1_000_000
const SQL_MS = 10_000

/** Parameters that choose a market and a time. */
const marketQuery = {
  symbol: symbolSchema.describe('One symbol, BASE-QUOTE in any case, such as BTC-USD.'),
  exchange: exchangeSchema.optional().describe('One exchange, such as coinbase; left out means all.'),
  from: timeSchema('first').optional().describe(`First event time: ${MOMENT_FORMS}.`),
  to: timeSchema('last').optional().describe('Last event time, written as from; the end is included.'),
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(MOST_ROWS)
    .default(1000)
    .describe(`At most so many, 1 to ${MOST_ROWS}.`),
}

const tags = ['market data']

/** What TimescaleDB holds. */
export function registerMarketData(app: GatewayServer, store: Store): void {
  app.route({
    method: 'GET',
    url: '/v1/trades',
    schema: {
      operationId: 'listTrades',
      summary: 'Stored trades of a symbol',
      tags,
      querystring: z.strictObject(marketQuery),
      response: { 200: tradesSchema },
    },
    config: { errors: ['INPUT_INVALID', 'STORE_UNAVAILABLE', 'TIMEOUT'] },
    handler: async (request, reply) => {
      refuseBackwards(request.query)
      return { trades: await store.trades(withoutUndefined(request.query), deadlineOf(reply)) }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/candles',
    schema: {
      operationId: 'listCandles',
      summary: 'Candles of a symbol',
      tags,
      querystring: z.strictObject({
        ...marketQuery,
        interval: intervalSchema.default('1m').describe(`${INTERVALS.join(', ')}.`),
        origin: z
          .enum(['trades', 'source'])
          .default('trades')
          .describe('trades: computed here from the stored trades; source: what the source says.'),
      }),
      response: { 200: candlesSchema },
    },
    config: { errors: ['INPUT_INVALID', 'STORE_UNAVAILABLE', 'TIMEOUT'] },
    handler: async (request, reply) => {
      refuseBackwards(request.query)
      return { candles: await store.candles(withoutUndefined(request.query), deadlineOf(reply)) }
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
