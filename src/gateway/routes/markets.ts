import { z } from 'zod'
import { marketKey } from '../../domain/events.ts'
import { exchangeSchema, globSchema } from '../../domain/market-names.ts'
import type { Store } from '../../ports/store.ts'
import type { StreamDesk } from '../../ports/streams.ts'
import { createPageCursor, cursorName } from '../page-cursor.ts'
import { marketsSchema } from '../schemas/market-data.ts'
import { deadlineOf, type GatewayServer } from '../server.ts'

const MOST_MARKETS = 10_000
const name = cursorName(200)
const cursors = createPageCursor({ symbol: name, exchange: name }, 1_024)

/** The markets that are stored, and those that exchanges list. */
export function registerMarkets(
  app: GatewayServer,
  store: Pick<Store, 'markets'>,
  desk: Pick<StreamDesk, 'markets'>,
): void {
  app.route({
    method: 'GET',
    url: '/v1/markets',
    schema: {
      operationId: 'listMarkets',
      summary: 'Markets that are stored or listed',
      description:
        'Those that have trades, and those that the exchanges of the sources list, in the order of their symbols: delisted ones too. First, last and count come from the candles of a day, so that years of trades are not read: trades that came late count once their candles are computed anew.',
      tags: ['market data'],
      querystring: z.strictObject({
        symbol: globSchema
          .optional()
          .describe('A symbol or a glob such as BTC-USD or BTC-*; left out means all.'),
        exchange: exchangeSchema.optional().describe('One exchange, such as coinbase; left out means all.'),
        search: z
          .string()
          .max(64)
          .regex(/^[^\0]*$/)
          .optional()
          .describe(
            "A part of the symbol or of the exchange's own name, in any case; with a star a glob of one of these.",
          ),
        stored: z
          .enum(['true', 'false'])
          .optional()
          .describe('true: only those with stored trades. false: only those without.'),
        limit: z.coerce
          .number()
          .int()
          .min(1)
          .max(MOST_MARKETS)
          .default(MOST_MARKETS)
          .describe(`At most so many, 1 to ${MOST_MARKETS}.`),
        cursor: z.string().optional().describe('next of an answer: what comes after it.'),
      }),
      response: { 200: marketsSchema },
    },
    config: { errors: ['INPUT_INVALID', 'CURSOR_INVALID', 'STORE_UNAVAILABLE', 'TIMEOUT'] },
    handler: async ({ query: { symbol, exchange, search, stored, limit, cursor } }, reply) => {
      const wanted = {
        ...(symbol !== undefined && { symbols: symbol }),
        ...(exchange !== undefined && { exchange }),
        ...(search !== undefined && { search }),
        ...(stored !== undefined && { stored: stored === 'true' }),
        ...(cursor !== undefined && { after: cursors.read(cursor) }),
      }
      const found = await store.markets({ ...wanted, limit: limit + 1 }, deadlineOf(reply))
      const asked = desk.markets()
      const markets = found.slice(0, limit).map((market) => ({
        ...market,
        read: asked === undefined ? null : asked.has(marketKey(market)),
      }))
      const last = found.length > limit ? markets.at(-1) : undefined
      return { markets, counts: 'trades' as const, next: last === undefined ? null : cursors.write(last) }
    },
  })
}
