import { z } from 'zod'
import { cutBook } from '../../domain/book-levels.ts'
import { exchangeSchema, symbolSchema } from '../../domain/market-names.ts'
import type { Books } from '../../ports/books.ts'
import { bookSchema } from '../schemas/market-data.ts'
import { deadlineOf, type GatewayServer } from '../server.ts'

const MOST_LEVELS = 1_000

/** The order book of one market. */
export function registerBooks(app: GatewayServer, books: Books): void {
  app.route({
    method: 'GET',
    url: '/v1/books/:exchange/:symbol',
    schema: {
      operationId: 'getBook',
      summary: 'The order book of a market',
      description:
        'As the log has it now: the last snapshot and every change after it. A book that may be wrong is never given: BOOK_IN_DOUBT says why.',
      tags: ['market data'],
      params: z.strictObject({
        exchange: exchangeSchema.describe('Such as kraken.'),
        symbol: symbolSchema.describe('BASE-QUOTE, such as BTC-USD.'),
      }),
      querystring: z.strictObject({
        depth: z.coerce
          .number()
          .int()
          .min(1)
          .max(MOST_LEVELS)
          .optional()
          .describe(`So many levels of each side, 1 to ${MOST_LEVELS}; left out: all that the log has.`),
      }),
      response: { 200: bookSchema },
    },
    config: { errors: ['INPUT_INVALID', 'BOOK_UNKNOWN', 'BOOK_IN_DOUBT', 'BROKER_UNAVAILABLE', 'TIMEOUT'] },
    handler: async ({ params, query: { depth } }, reply) => {
      const { book, position } = await books.read(params, deadlineOf(reply))
      const { exchange, symbol, bids, asks, seq, ts, recvTs } =
        depth === undefined ? book : cutBook(book, depth)
      const place = `${position.topic}:${position.partition}:${position.offset}`
      return { exchange, symbol, bids, asks, seq, ts, recvTs, position: place }
    },
  })
}
