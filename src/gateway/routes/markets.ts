import { z } from 'zod'
import { exchangeSchema, globSchema } from '../../domain/market-names.ts'
import type { Store } from '../../ports/store.ts'
import { marketsSchema } from '../schemas.ts'
import { deadlineOf, type GatewayServer } from '../server.ts'

const MOST_MARKETS = 10_000

/** The markets that are stored. */
export function registerMarkets(app: GatewayServer, store: Store): void {
  app.route({
    method: 'GET',
    url: '/v1/markets',
    schema: {
      operationId: 'listMarkets',
      summary: 'Markets that are stored',
      description:
        'Those that have trades, in the order of their symbols. First, last and count come from the candles of a day, so that years of trades are not read: trades that came late count once their candles are computed anew.',
      tags: ['market data'],
      querystring: z.strictObject({
        symbol: globSchema
          .optional()
          .describe('A symbol or a glob such as BTC-USD or BTC-*; left out means all.'),
        exchange: exchangeSchema.optional().describe('One exchange, such as coinbase; left out means all.'),
      }),
      response: { 200: marketsSchema },
    },
    config: { errors: ['INPUT_INVALID', 'STORE_UNAVAILABLE', 'TIMEOUT'] },
    handler: async ({ query: { symbol, exchange } }, reply) => {
      const wanted = {
        ...(symbol !== undefined && { symbols: symbol }),
        ...(exchange !== undefined && { exchange }),
      }
      const found = await store.markets({ ...wanted, limit: MOST_MARKETS + 1 }, deadlineOf(reply))
      return { markets: found.slice(0, MOST_MARKETS), complete: found.length <= MOST_MARKETS }
    },
  })
}
