import { z } from 'zod'
import { canonicalSymbol, exchangeSchema } from '../../domain/market-names.ts'
import type { Market } from '../../domain/markets.ts'
import { TapelineError } from '../../errors.ts'
import type { Store } from '../../ports/store.ts'
import { deadlineOf, type GatewayServer } from '../server.ts'
import {
  decimalsOf,
  intervalOf,
  marketOf,
  udfBars,
  udfConfig,
  udfFound,
  udfNoBars,
  udfSymbol,
} from '../udf.ts'

const MICROS = 1_000_000
/** A chart asks for some hundreds of bars at once. */
const MOST_BARS = 10_000
const USUAL_FOUND = 30
const MOST_FOUND = 1_000

const about = { tags: ['market data'] }
const errors = ['INPUT_INVALID', 'STORE_UNAVAILABLE', 'TIMEOUT'] as const

/** Some names of the protocol's fields are its own. */
const answer = z.looseObject({})

const symbol = z.string().max(100).describe('A market as EXCHANGE:SYMBOL, such as COINBASE:BTC-USD.')
const seconds = z.coerce.number().int().min(0).max(1e11)

/** Routes that TradingView's charting library draws from (UDF): its datafeed takes the address `/udf`. */
export function registerUdf(app: GatewayServer, store: Store): void {
  const find = (
    wanted: Partial<Pick<Market, 'exchange'>> & { symbols?: string },
    limit: number,
    signal: AbortSignal,
  ) => store.markets({ ...wanted, stored: true, limit }, signal)

  /** The stored market that a chart names. */
  const known = async (name: string, signal: AbortSignal): Promise<Market | undefined> => {
    const market = marketOf(name)
    if (market === undefined) return undefined
    const found = await find({ exchange: market.exchange, symbols: market.symbol }, 1, signal)
    return found[0]
  }

  app.route({
    method: 'GET',
    url: '/udf/config',
    schema: {
      operationId: 'udfConfig',
      summary: 'TradingView: what the datafeed can',
      ...about,
      response: { 200: answer },
    },
    config: { errors },
    handler: async (_request, reply) => udfConfig(await find({}, MOST_FOUND, deadlineOf(reply))),
  })

  app.route({
    method: 'GET',
    url: '/udf/time',
    schema: {
      operationId: 'udfTime',
      summary: 'TradingView: the time of this server',
      ...about,
      response: { 200: { description: 'Seconds.', content: { 'text/plain': { schema: z.string() } } } },
    },
    handler: async (_request, reply) => reply.type('text/plain').send(String(Math.floor(Date.now() / 1_000))),
  })

  app.route({
    method: 'GET',
    url: '/udf/search',
    schema: {
      operationId: 'udfSearch',
      summary: 'TradingView: markets by a part of their name',
      ...about,
      querystring: z.object({
        query: z.string().max(100).default('').describe('A part of a symbol, in any case.'),
        exchange: z.string().max(32).default('').describe('One exchange; empty means all.'),
        type: z.string().default('').describe('The kind of market; all of ours are of one.'),
        limit: z.coerce
          .number()
          .int()
          .min(1)
          .max(MOST_FOUND)
          .default(USUAL_FOUND)
          .describe('At most so many.'),
      }),
      response: { 200: z.array(answer) },
    },
    config: { errors },
    handler: async ({ query: { query, exchange, limit } }, reply) => {
      const part = query.slice(query.indexOf(':') + 1)
      const text = part === '' ? '' : canonicalSymbol(part)
      const ofExchange = exchange === '' ? undefined : exchangeSchema.safeParse(exchange)
      if (text === undefined || ofExchange?.success === false) return []
      const wanted = { symbols: `*${text}*`, ...(ofExchange && { exchange: ofExchange.data }) }
      return (await find(wanted, limit, deadlineOf(reply))).map(udfFound)
    },
  })

  app.route({
    method: 'GET',
    url: '/udf/symbols',
    schema: {
      operationId: 'udfSymbols',
      summary: 'TradingView: a market',
      ...about,
      querystring: z.object({ symbol }),
      response: { 200: answer },
    },
    config: { errors },
    handler: async ({ query }, reply) => {
      const signal = deadlineOf(reply)
      const market = await known(query.symbol, signal)
      if (market === undefined) return { s: 'error', errmsg: 'unknown_symbol' }
      return udfSymbol(market, await decimalsOf(store, market, signal))
    },
  })

  app.route({
    method: 'GET',
    url: '/udf/history',
    schema: {
      operationId: 'udfHistory',
      summary: 'TradingView: candles',
      description:
        'Candles that begin at `from` or after it and before `to`; with `countback` the last so many before `to`. Where there is none, nextTime names the last one before them.',
      ...about,
      querystring: z.object({
        symbol,
        resolution: z.string().max(5).describe('1, 5, 15, 60, 240 (minutes) or 1D.'),
        from: seconds.default(0).describe('Seconds since the epoch.'),
        to: seconds.describe('Seconds since the epoch; candles that begin then are not among them.'),
        countback: z.coerce
          .number()
          .int()
          .min(1)
          .optional()
          .describe('So many candles, whatever `from` says.'),
      }),
      response: { 200: answer },
    },
    config: { errors },
    handler: async ({ query: { symbol: name, resolution, from, to, countback } }, reply) => {
      const interval = intervalOf(resolution)
      if (interval === undefined) throw unknownResolution(resolution)
      const signal = deadlineOf(reply)
      const market = marketOf(name)
      if (market === undefined) return { s: 'error', errmsg: 'unknown_symbol' }
      const wanted = { ...market, interval, origin: 'trades' } as const
      const end = to * MICROS - 1
      const begin = countback === undefined ? { from: from * MICROS } : {}
      const limit = Math.min(countback ?? MOST_BARS, MOST_BARS)
      const range = { ...wanted, ...begin, to: end, limit }
      // Without an order the store gives the newest that match, oldest first.
      const candles = to > from || countback !== undefined ? await store.candles(range, signal) : []
      if (candles.length > 0) return udfBars(candles)
      const first = Math.min(from, to) * MICROS - 1
      const [before] = first < 0 ? [] : await store.candles({ ...wanted, to: first, limit: 1 }, signal)
      return udfNoBars(countback === undefined ? before : undefined)
    },
  })
}

function unknownResolution(value: string): TapelineError {
  const remedy = 'Ask for 1, 5, 15, 60, 240 or 1D: the library makes the others of these.'
  const message = 'is none that there are candles of'
  return new TapelineError('INPUT_INVALID', `the resolution ${message}`, {
    fields: [{ field: 'resolution', value, message, remedy }],
  })
}
