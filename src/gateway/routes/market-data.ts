import type { ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { INTERVALS } from '../../domain/events.ts'
import { exchangeSchema, symbolSchema } from '../../domain/market-names.ts'
import { MOMENT_FORMS } from '../../domain/moment.ts'
import { ROW_ORDERS } from '../../domain/row-cursor.ts'
import type { RowChannel } from '../../domain/stored-rows.ts'
import { TapelineError } from '../../errors.ts'
import type { Store } from '../../ports/store.ts'
import { requireOperator } from '../guard.ts'
import type { Revocations } from '../revocations.ts'
import { type RowSelection, readPage } from '../row-pages.ts'
import { openRowStream } from '../row-stream.ts'
import { LINE_FORMATS, type LineFormatName } from '../row-text.ts'
import {
  candlesSchema,
  intervalSchema,
  quotesSchema,
  sqlResultSchema,
  tradesSchema,
} from '../schemas/market-data.ts'
import { callerIn, deadlineOf, type GatewayServer } from '../server.ts'
import { timeSchema } from '../validation.ts'

/** In one answer of JSON, which is in memory as a whole. */
const MOST_ROWS = 10_000
const USUAL_ROWS = 1_000
/** An answer to SQL may be larger where the caller asks for it: the store bounds it in bytes as well. */
const MOST_SQL_ROWS = 1_000_000
const SQL_MS = 10_000

const FORMATS = ['json', 'ndjson', 'csv'] as const
type FormatName = (typeof FORMATS)[number]

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
      'asc: from the oldest on; desc: from the newest back; left out: the newest, given with the oldest first; of ndjson and csv asc.',
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
    .optional()
    .describe(
      `At most so many: of json 1 to ${MOST_ROWS}, left out ${USUAL_ROWS}; of ndjson and csv any number, left out all.`,
    ),
  format: z
    .enum(FORMATS)
    .optional()
    .describe(`${FORMATS.join(', ')}; left out: as the header accept says, else json.`),
}

const candlesQuery = {
  ...rowsQuery,
  interval: intervalSchema.default('1m').describe(`${INTERVALS.join(', ')}.`),
  origin: z
    .enum(['trades', 'source'])
    .default('trades')
    .describe('trades: computed here from the stored trades; source: what the source says.'),
}

const description =
  'By event time. Rows of one time have an order of their own that never changes, so that pages neither leave out nor repeat a row while others arrive; what arrives for a time that was passed already is not seen. As ndjson and csv the answer has all rows that match, however many. A failure in the middle is the last line of ndjson (`{"error": problem, "next": cursor}`), and breaks the connection of csv.'

/** What all three routes say of themselves. */
const about = { description, tags: ['market data'] }
const errors = [
  'INPUT_INVALID',
  'CURSOR_INVALID',
  'ROW_STREAMS_BUSY',
  'STORE_UNAVAILABLE',
  'TIMEOUT',
] as const

/** The answer in each format. */
function formatsOf<Schema extends z.ZodType>(schema: Schema) {
  const lines = Object.values(LINE_FORMATS).map(({ mediaType }) => [mediaType, { schema: z.string() }])
  return {
    200: {
      description: 'Rows.',
      content: { 'application/json': { schema }, ...Object.fromEntries(lines) },
    },
  }
}

interface MarketDataOptions {
  readonly store: Store
  readonly closing: () => boolean
  readonly revocations: Pick<Revocations, 'isRevoked'>
  readonly maxRowStreams: number
}

/** Bounds how many answers of all rows run at once: each reads the database for as long as its client takes. */
function createRowStreamGate(most: number): (response: ServerResponse) => void {
  let running = 0
  return (response) => {
    if (running >= most)
      throw new TapelineError(
        'ROW_STREAMS_BUSY',
        `${most} answers of all rows are under way, as many as there may be`,
      )
    running++
    response.once('close', () => running--)
  }
}

/** What TimescaleDB holds. */
export function registerMarketData(
  app: GatewayServer,
  { store, closing, revocations, maxRowStreams }: MarketDataOptions,
): void {
  const admitRowStream = createRowStreamGate(maxRowStreams)
  const answer = async <C extends RowChannel>(
    channel: C,
    query: RowsQuery & Pick<RowSelection, 'interval' | 'origin'>,
    { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
  ) => {
    const { cursor, limit, format: wanted, ...rest } = query
    refuseBackwards(rest)
    const format = wanted ?? acceptedFormat(request)
    reply.header('vary', reply.raw.hasHeader('vary') ? 'accept, origin' : 'accept')
    if (format === 'json') {
      refuseTooMany(limit)
      const place = { cursor, limit: limit ?? USUAL_ROWS }
      const { rows, next } = await readPage(store, { channel, ...rest }, place, deadlineOf(reply))
      return { [`${channel}s`]: rows, next: next ?? null }
    }
    admitRowStream(reply.raw)
    const selection = { channel, ...rest, order: rest.order ?? 'asc' }
    const caller = callerIn(request)
    const goOn = (): void => {
      if (closing()) throw new TapelineError('SHUTTING_DOWN', 'the gateway is closing')
      if (revocations.isRevoked(caller)) throw new TapelineError('UNAUTHORIZED', 'the key was revoked')
    }
    const stream = await openRowStream(reply.raw, selection, { store, format, cursor, limit, goOn })
    return reply.type(`${LINE_FORMATS[format].mediaType}; charset=utf-8`).send(stream)
  }

  app.route({
    method: 'GET',
    url: '/v1/trades',
    schema: {
      operationId: 'listTrades',
      summary: 'Stored trades of a symbol',
      ...about,
      querystring: z.strictObject(rowsQuery),
      response: formatsOf(tradesSchema),
    },
    config: { errors },
    handler: (request, reply) => answer('trade', request.query, { request, reply }),
  })

  app.route({
    method: 'GET',
    url: '/v1/quotes',
    schema: {
      operationId: 'listQuotes',
      summary: 'Stored quotes of a symbol',
      ...about,
      querystring: z.strictObject(rowsQuery),
      response: formatsOf(quotesSchema),
    },
    config: { errors },
    handler: (request, reply) => answer('quote', request.query, { request, reply }),
  })

  app.route({
    method: 'GET',
    url: '/v1/candles',
    schema: {
      operationId: 'listCandles',
      summary: 'Candles of a symbol',
      ...about,
      querystring: z.strictObject(candlesQuery),
      response: formatsOf(candlesSchema),
    },
    config: { errors },
    handler: (request, reply) => answer('candle', request.query, { request, reply }),
  })

  app.route({
    method: 'POST',
    url: '/v1/sql',
    schema: {
      operationId: 'sql',
      summary: 'One read-only SQL statement',
      description: `From this machine or with an admin key; at most ${SQL_MS / 1000} s.`,
      tags: about.tags,
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
      // It reads: whether it may is a question of who calls alone.
      scope: 'read',
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

/** What rows are asked by. */
type RowsQuery = z.output<z.ZodObject<typeof rowsQuery>>

/** The format that the client likes best of ours; JSON where it names none. */
function acceptedFormat({ headers }: FastifyRequest): FormatName {
  const weighed = (headers.accept ?? '').split(',').map((part) => {
    const [type = '', ...parameters] = part.split(';').map((text) => text.trim().toLowerCase())
    const weight = parameters.find((text) => text.startsWith('q='))?.slice(2) ?? '1'
    return { type, weight: Number(weight) }
  })
  const liked = weighed.filter(({ weight }) => weight > 0).toSorted((a, b) => b.weight - a.weight)
  for (const { type } of liked) {
    if (type === 'application/json') return 'json'
    const found = Object.entries(LINE_FORMATS).find(([, { mediaType }]) => mediaType === type)
    if (found !== undefined) return found[0] as LineFormatName
  }
  return 'json'
}

/** Raises INPUT_INVALID. */
function refuseTooMany(limit: number | undefined): void {
  if (limit === undefined || limit <= MOST_ROWS) return
  const [field, value, message] = ['limit', limit, `is more than ${MOST_ROWS}`]
  const remedy = 'Ask for pages and go on at next; or ask with format=ndjson or csv, which have no limit.'
  throw new TapelineError('INPUT_INVALID', `limit ${message}`, {
    fields: [{ field, value, message, remedy }],
  })
}

/** Raises INPUT_INVALID. */
export function refuseBackwards({ from, to }: { from?: number | undefined; to?: number | undefined }): void {
  if (from === undefined || to === undefined || from <= to) return
  throw new TapelineError('INPUT_INVALID', 'from lies after to', {
    fields: [{ field: 'from', value: from, message: 'lies after to', remedy: 'Exchange from and to.' }],
  })
}
