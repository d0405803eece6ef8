import { z } from 'zod'
import { BOOK_DOUBTS, GAP_CAUSES, INTERVALS } from '../../domain/events.ts'
import { marketSchema } from '../../domain/markets.ts'
import { rowSchema, STORED_ROWS } from '../../domain/stored-rows.ts'

/** What the routes of rows, books, markets and gaps answer, for the types of handlers and for the API description. Times are ISO 8601 in UTC. */

const nextRows = z
  .string()
  .nullable()
  .describe('Goes on with cursor, and the other parameters as they were; null: there are no more.')

export const tradesSchema = z
  .object({ trades: z.array(rowSchema(STORED_ROWS.trade.columns)).readonly(), next: nextRows })
  .meta({ id: 'Trades' })

export const quotesSchema = z
  .object({ quotes: z.array(rowSchema(STORED_ROWS.quote.columns)).readonly(), next: nextRows })
  .meta({ id: 'Quotes' })

export const candlesSchema = z
  .object({ candles: z.array(rowSchema(STORED_ROWS.candle.columns)).readonly(), next: nextRows })
  .meta({ id: 'Candles' })

const levelSchema = z.tuple([z.number(), z.number()]).readonly()

export const bookSchema = z
  .object({
    exchange: z.string(),
    symbol: z.string(),
    bids: z.array(levelSchema).readonly().describe('Price and size of each level, the best first.'),
    asks: z.array(levelSchema).readonly().describe('Price and size of each level, the best first.'),
    seq: z.number().describe('That of its last record: see the event `book`.'),
    ts: z.number().describe('When it was so, by the exchange: microseconds.'),
    recvTs: z.number().describe('When that was heard here: microseconds.'),
    position: z
      .string()
      .describe('Of its last record, TOPIC:PARTITION:OFFSET: what comes after it changes this book.'),
  })
  .meta({ id: 'OrderBook' })

export const storedBooksSchema = z
  .object({
    books: z
      .array(
        z.object({
          bids: bookSchema.shape.bids,
          asks: bookSchema.shape.asks,
          doubt: z
            .enum(BOOK_DOUBTS)
            .nullable()
            .describe('Why nobody knows the book from here on; null where these are its levels.'),
          ts: z.string().describe('Event time.'),
          recvTs: z.string().describe('When it was received.'),
        }),
      )
      .readonly(),
  })
  .meta({ id: 'StoredOrderBooks' })

export const marketsSchema = z
  .object({
    markets: z
      .array(
        marketSchema.extend({
          read: z
            .boolean()
            .nullable()
            .describe('Whether a producer asks its source for it at present; null where that is not known.'),
        }),
      )
      .readonly(),
    counts: z
      .literal('trades')
      .describe('What first, last and the number are of: stored trades, not quotes.'),
    next: z.string().nullable().describe('The cursor of what follows; null where these are all that match.'),
  })
  .meta({ id: 'Markets' })

export const gapsSchema = z
  .object({
    gaps: z
      .array(
        z.object({
          source: z.string().describe('Who flagged it: a source, or tapeline itself.'),
          exchange: z.string().nullable().describe('Null: of all exchanges of the source.'),
          symbol: z.string().nullable().describe('Null: of all markets.'),
          from: z.string().describe('The last trade before it, event time.'),
          to: z.string().describe('The first trade after it, event time.'),
          cause: z.enum(GAP_CAUSES).nullable().describe('Null in records of earlier versions.'),
          detail: z.string(),
          flagged: z.string().describe('When it was flagged.'),
          filled: z.boolean().describe('Whether history that came later covers all of it.'),
        }),
      )
      .readonly(),
    next: z.string().nullable().describe('The cursor of what follows; null where these are all that match.'),
  })
  .meta({ id: 'Gaps' })

export const intervalSchema = z.enum(INTERVALS)

export const sqlResultSchema = z
  .object({
    columns: z.array(z.string()).readonly(),
    rows: z
      .array(z.record(z.string(), z.unknown()).readonly())
      .readonly()
      .describe('Integers beyond 2^53 are text.'),
  })
  .meta({ id: 'SqlResult' })

export const backfillSchema = z
  .object({
    trades: z
      .number()
      .int()
      .describe('Trades published by this step; the database leaves out those that it has.'),
    candles: z.number().int().describe('Candles published by this step, likewise.'),
    since: z
      .string()
      .describe(
        'From this event time on nothing is left out: after from where the source does not reach back so far.',
      ),
    next: z.string().nullable().describe('Go on with it as from; null: all is published.'),
  })
  .meta({ id: 'BackfillStep' })
