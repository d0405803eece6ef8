import { z } from 'zod'
import { streamWarningsSchema } from '../domain/app-messages.ts'
import { CHANNELS, GAP_CAUSES, INTERVALS, STREAM_INTERVALS } from '../domain/events.ts'
import { marketSchema } from '../domain/markets.ts'
import { rowSchema, STORED_ROWS } from '../domain/stored-rows.ts'
import { SCOPES } from '../ports/keys.ts'

/** What the routes answer, for the types of their handlers and for the API description. Times are ISO 8601 in UTC. */

export const streamSchema = z
  .object({
    id: z.string().describe('Id of the lease: what a WebSocket subscribes to.'),
    app: z.string().describe('The application that owns it.'),
    topic: z.string().describe('Its dynamic topic; equal requests share one.'),
    spec: z
      .object({
        channel: z.enum(CHANNELS),
        symbols: z.array(z.string()).readonly(),
        exchanges: z.array(z.string()).readonly().describe('Empty: all.'),
        where: z.string().exactOptional().describe('The filter; left out: all events.'),
        fields: z
          .array(z.string())
          .readonly()
          .exactOptional()
          .describe('The fields that come; left out: all.'),
        every: z
          .string()
          .exactOptional()
          .describe('The latest event of each market in each period of this length.'),
        interval: z
          .enum(STREAM_INTERVALS)
          .exactOptional()
          .describe('Candles of this length come, made of trades.'),
        lateness: z.string().exactOptional().describe('How long windows wait for late events.'),
        empty: z.literal(true).exactOptional().describe('Periods without trades have candles too.'),
        depth: z.number().exactOptional().describe('So many levels of each side of a book come.'),
      })
      .describe('What was asked for, in canonical form.'),
    ttl: z.number().describe('Seconds that it lives without a reader; 0: until DELETE.'),
    createdAt: z.string(),
    lastReadAt: z
      .string()
      .nullable()
      .describe(
        'When it was last known to have a reader, in any process; null: never since this process started. At most some seconds old while somebody reads.',
      ),
    standing: z.boolean().describe('Whether the configuration asked for it.'),
    websocket: z.string().describe('Where to subscribe.'),
    warnings: streamWarningsSchema
      .optional()
      .describe(
        'What of the request no producer gives at present: until that changes nothing comes for it. In the answer to POST also a `from` that lies before what the topics keep. Left out where all is given.',
      ),
    cursor: z
      .string()
      .optional()
      .describe(
        'In the answer to POST, where the topic was made for this stream: its beginning. Subscribe with it to miss nothing.',
      ),
  })
  .meta({ id: 'Stream' })

export const streamsSchema = z.object({ streams: z.array(streamSchema) }).meta({ id: 'Streams' })

export const webhookSchema = z
  .object({
    id: z.string(),
    app: z.string().describe('The application that owns it.'),
    url: z.string().describe('Where messages are posted to.'),
    stream: z.string().describe('Id of the stream that it reads.'),
    maxEvents: z.number().int().describe('The most events of one message.'),
    maxWait: z.number().describe('Seconds that an event waits for others of its message.'),
    state: z
      .enum(['active', 'failing', 'paused', 'ended'])
      .describe(
        'failing: its receiver fails, and is tried again; paused: by a command, or by itself as failure says; ended: its stream has ended.',
      ),
    failure: z
      .object({
        code: z.string(),
        message: z.string(),
        since: z.string(),
        attempts: z.number().int().describe('Attempts that failed in a row.'),
      })
      .nullable()
      .describe('Why it fails, or has paused itself.'),
    deliveredAt: z.string().nullable().describe('When its receiver last took a message; null: never.'),
    createdAt: z.string(),
  })
  .meta({ id: 'Webhook' })

export const newWebhookSchema = webhookSchema
  .extend({ secret: z.string().describe('Verifies its messages. It is shown this one time.') })
  .meta({ id: 'NewWebhook' })

export const webhooksSchema = z.object({ webhooks: z.array(webhookSchema) }).meta({ id: 'Webhooks' })

export const backfillSchema = z
  .object({
    trades: z
      .number()
      .int()
      .describe('Trades published by this step; the database leaves out those that it has.'),
    since: z
      .string()
      .describe(
        'From this event time on nothing is left out: after from where the source does not reach back so far.',
      ),
    next: z.string().nullable().describe('Go on with it as from; null: all is published.'),
  })
  .meta({ id: 'BackfillStep' })

export const topicsSchema = z
  .object({
    topics: z.array(
      z.object({
        name: z.string(),
        id: z.string().describe('Identity of the topic; never used again.'),
        partitions: z.number().int(),
        compacted: z.boolean(),
        retentionMs: z.number().optional(),
        earliest: z.number().int().describe('First offset that can be read, summed over the partitions.'),
        end: z.number().int().describe('Next offset to be written, summed over the partitions.'),
        offsets: z
          .array(z.object({ earliest: z.number().int(), end: z.number().int() }))
          .readonly()
          .describe('The same for each partition.'),
      }),
    ),
  })
  .meta({ id: 'Topics' })

export const recordsSchema = z
  .object({
    topic: z.string(),
    topicId: z.string(),
    partition: z.number().int(),
    earliest: z.number().int(),
    end: z.number().int().describe('End of the partition when it was read.'),
    next: z.number().int().describe('The offset to go on from.'),
    records: z.array(
      z.object({
        offset: z.number().int(),
        timestamp: z.string().describe('When it was published.'),
        key: z.string().nullable(),
        headers: z
          .object({
            v: z.number(),
            kind: z.enum(['event', 'marker', 'control']),
            shard: z.number().optional(),
            epoch: z.number().optional(),
            position: z
              .string()
              .optional()
              .describe('topic:partition:offset of the fixed record that caused it.'),
            reentering: z.literal(true).optional(),
          })
          .describe('Readers must leave out records of a lower epoch after a higher one, by shard.'),
        value: z.string().nullable().describe('As text; null: a marker or a tombstone.'),
      }),
    ),
    undecodable: z
      .array(z.object({ from: z.number().int(), to: z.number().int(), reason: z.string() }))
      .optional()
      .describe('Offsets, ends included, whose batch nobody can read, and why.'),
  })
  .meta({ id: 'Records' })

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

export const actorsSchema = z
  .object({
    actors: z
      .array(
        z.object({
          id: z.string().describe('Of an actor of another process: with `@` and the instance after it.'),
          instance: z.string().describe('The process that it runs in.'),
          machine: z.enum(['producer', 'coordinator', 'consumerFixed', 'consumerDynamic']),
          state: z.string(),
          since: z.string().describe('When it entered the state.'),
          restarts: z.number().int(),
          errorInfo: z
            .object({
              code: z.string(),
              message: z.string(),
              step: z.string(),
              attempt: z.number().int(),
              retryable: z.boolean(),
              since: z.number().describe('Milliseconds since the epoch.'),
            })
            .nullable(),
          context: z.record(z.string(), z.unknown()).readonly().describe('What it has in hand, in short.'),
        }),
      )
      .readonly(),
  })
  .meta({ id: 'Actors' })

export const resetSchema = z.object({ id: z.string(), event: z.literal('RESET') }).meta({ id: 'Reset' })

export const alertsSchema = z
  .object({
    alerts: z
      .array(
        z.object({
          id: z.string(),
          instance: z.string().describe('The process that raised it.'),
          code: z.string(),
          message: z.string(),
          since: z.string(),
        }),
      )
      .readonly(),
  })
  .meta({ id: 'Alerts' })

const deadLetter = {
  id: z.string().describe('topic:partition:offset of the refused record.'),
  topic: z.string(),
  partition: z.number().int(),
  offset: z.number().int(),
  code: z.string().describe('Why it was refused.'),
  reason: z.string(),
  publishedAt: z.string().describe('When the refused record was published.'),
  refusedAt: z.string(),
  size: z.number().int().describe("Bytes of the refused record's value."),
  replayedAt: z.string().nullable().describe('When it last entered again; null: never.'),
}

export const deadLettersSchema = z
  .object({
    deadLetters: z.array(z.object(deadLetter).meta({ id: 'DeadLetter' })).readonly(),
    total: z.number().int().describe('How many there are of those asked for, of the newest 50,000.'),
    next: z.number().int().nullable().describe('Goes on with before; null: there are no more.'),
  })
  .meta({ id: 'DeadLetters' })

export const deadLetterContentSchema = z
  .object({
    ...deadLetter,
    key: z.string().nullable(),
    version: z.number().describe('The schema version that the record named.'),
    fields: z
      .array(z.object({ field: z.string(), message: z.string() }))
      .readonly()
      .describe('What is not acceptable.'),
    encoding: z.enum(['utf8', 'base64']).describe('How value shows the bytes.'),
    value: z.string(),
    complete: z.boolean().describe('Whether value is all of it: of a large one only the beginning is kept.'),
  })
  .meta({ id: 'DeadLetterContent' })

export const replayResultsSchema = z
  .object({
    results: z
      .array(
        z.object({
          id: z.string(),
          outcome: z
            .enum(['replayed', 'still-refused', 'unknown', 'not-owned'])
            .describe(
              'replayed: published again; still-refused: see code; unknown: no such letter; not-owned: no producer answered, ask again.',
            ),
          code: z.string().optional(),
          reason: z.string().optional(),
        }),
      )
      .readonly(),
    next: z.number().int().nullable().describe('Goes on with from; null: there are no more.'),
  })
  .meta({ id: 'ReplayResults' })

export const healthSchema = z
  .object({ status: z.literal('alive'), version: z.string() })
  .meta({ id: 'Health' })

export const readinessSchema = z
  .object({
    ready: z.boolean(),
    checks: z.array(
      z.object({
        name: z.string(),
        ok: z.boolean(),
        detail: z.string().optional().describe('Left out for callers without a key.'),
      }),
    ),
  })
  .meta({ id: 'Readiness' })

export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    code: z.string().describe('Stable: programs may depend on it.'),
    remedy: z.string().describe('What the caller can do.'),
    errors: z
      .array(z.object({ field: z.string(), value: z.unknown(), message: z.string(), remedy: z.string() }))
      .optional()
      .describe('The parts of the request that are not acceptable.'),
  })
  .meta({ id: 'Problem' })

export const keySchema = z
  .object({
    id: z.string(),
    app: z.string().describe('The application.'),
    scopes: z.array(z.enum(SCOPES)),
    quotas: z.object({
      streams: z.number().exactOptional(),
      sockets: z.number().exactOptional(),
      webhooks: z.number().exactOptional(),
      eventsPerSecond: z.number().exactOptional(),
    }),
    createdAt: z.string(),
    revokedAt: z.string().nullable().describe('Null while the key is good.'),
  })
  .meta({ id: 'Key' })

export const newKeySchema = keySchema
  .extend({ key: z.string().describe('The key itself. It is not shown again.') })
  .meta({ id: 'NewKey' })

export const keysSchema = z.object({ keys: z.array(keySchema) }).meta({ id: 'Keys' })
