import { z } from 'zod'
import { cutBook } from '../../domain/book-levels.ts'
import { exchangeSchema, symbolSchema } from '../../domain/market-names.ts'
import { MOMENT_FORMS } from '../../domain/moment.ts'
import type { Books } from '../../ports/books.ts'
import type { Store } from '../../ports/store.ts'
import { bookSchema, storedBooksSchema } from '../schemas/market-data.ts'
import { deadlineOf, type GatewayServer } from '../server.ts'
import { readStoredBooks } from '../stored-books.ts'
import { timeSchema } from '../validation.ts'
import { refuseBackwards } from './market-data.ts'

const MOST_LEVELS = 1_000

const MOST_BOOKS = 1_000
const USUAL_BOOKS = 100

const marketParams = z.strictObject({
  exchange: exchangeSchema.describe('Such as kraken.'),
  symbol: symbolSchema.describe('BASE-QUOTE, such as BTC-USD.'),
})

/** The order book of one market, and those that are stored of it. */
export function registerBooks(app: GatewayServer, books: Books, store: Store): void {
  app.route({
    method: 'GET',
    url: '/v1/books/:exchange/:symbol',
    schema: {
      operationId: 'getBook',
      summary: 'The order book of a market',
      description:
        'As the log has it now: the last snapshot and every change after it. A book that may be wrong is never given: BOOK_IN_DOUBT says why.',
      tags: ['market data'],
      params: marketParams,
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
  app.route({
    method: 'GET',
    url: '/v1/books/:exchange/:symbol/stored',
    schema: {
      operationId: 'listStoredBooks',
      summary: 'Stored order books of a market, the latest first',
      description:
        'The top levels of each snapshot, as far as store.books asks for them, and each doubt in between: from a doubt up to the next book nobody knows the book. For earlier ones ask with to.',
      tags: ['market data'],
      params: marketParams,
      querystring: z.strictObject({
        from: timeSchema('first').optional().describe(`First event time: ${MOMENT_FORMS}.`),
        to: timeSchema('last').optional().describe('Last event time; the end is included.'),
        limit: z.coerce
          .number()
          .int()
          .min(1)
          .max(MOST_BOOKS)
          .default(USUAL_BOOKS)
          .describe(`At most so many, 1 to ${MOST_BOOKS}.`),
      }),
      response: { 200: storedBooksSchema },
    },
    config: { errors: ['INPUT_INVALID', 'STORE_UNAVAILABLE', 'TIMEOUT'] },
    handler: async ({ params, query }, reply) => {
      refuseBackwards(query)
      const { limit, ...range } = query
      return { books: await readStoredBooks(store, params, range, limit, deadlineOf(reply)) }
    },
  })
}
