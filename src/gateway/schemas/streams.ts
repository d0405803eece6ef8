import { z } from 'zod'
import { streamWarningsSchema } from '../../domain/app-messages.ts'
import { CHANNELS, STREAM_INTERVALS } from '../../domain/events.ts'
import { SCOPES } from '../../ports/keys.ts'

/** What the routes of streams, webhooks and keys answer, for the types of handlers and for the API description. Times are ISO 8601 in UTC. */

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
