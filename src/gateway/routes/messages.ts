import { z } from 'zod'
import { APP_MESSAGES, dataMessageSchema, webhookMessages } from '../../domain/app-messages.ts'
import { EVENT_SCHEMAS } from '../../domain/event-codec.ts'
import { type GatewayServer, SOCKET_ROUTE } from '../server.ts'
import { SOCKET_MESSAGES } from '../socket-message.ts'

/** An event of any channel, or the fields of it that a stream asked for. */
const eventSchema = z.union(
  Object.entries<z.ZodObject>(EVENT_SCHEMAS).map(([channel, schema]) =>
    schema.partial().meta({ title: channel }),
  ),
)

const SENT = { data: dataMessageSchema(eventSchema), ...APP_MESSAGES } as const

const [stream, cursor] = ['01kb0c5e9mt8f6v3sn2dj4hq7w', 'AhowMWtiMGM1']
const market = { exchange: 'kraken', symbol: 'BTC-USD' }
const times = { ts: 1_795_507_200_123_456, recvTs: 1_795_507_200_150_000 }

/** What each message says, and one as it may be. */
const RECEIVED_WORDS = {
  subscribe: {
    summary: 'Read a stream: one that is there (stream), or a new one (spec).',
    example: {
      op: 'subscribe',
      spec: { channel: 'trade', symbols: ['BTC-*'], where: 'size >= 0.5' },
      ttl: '10m',
    },
  },
  unsubscribe: {
    summary: 'Read a stream no more; it lives on for its ttl.',
    example: { op: 'unsubscribe', stream },
  },
  ping: { summary: 'Ask for a pong.', example: { op: 'ping' } },
} as const satisfies Record<keyof typeof SOCKET_MESSAGES, Words>

const SENT_WORDS = {
  data: {
    summary: 'Events, in order.',
    example: {
      ...{ op: 'data', stream, cursor },
      events: [{ ...market, id: '81726354', side: 'buy', price: 91_234.5, size: 0.012, ...times }],
    },
  },
  subscribed: {
    summary: 'Data follow.',
    example: { op: 'subscribed', stream, topic: 'app.01kb0c5eb2x1c9k7r5m3p8w6tz', cursor },
  },
  reset: {
    summary: 'A part of the history is gone.',
    example: { op: 'reset', stream, reason: 'retention', cursor },
  },
  end: { summary: 'The stream is over.', example: { op: 'end', stream, reason: 'deleted' } },
  pong: { summary: 'The answer to ping.', example: { op: 'pong' } },
  error: {
    summary: 'A message was refused; the connection stays open.',
    example: { op: 'error', code: 'STREAM_UNKNOWN', message: `there is no stream ${stream}`, stream },
  },
} as const satisfies Record<keyof typeof SENT, Words>

const POSTED = webhookMessages(eventSchema)

const POSTED_WORDS = {
  data: {
    summary: 'Events, in order. Answer 2xx when you have them: the next message waits for it.',
    example: { op: 'data', stream, events: SENT_WORDS.data.example.events },
  },
  reset: {
    summary: 'What lies before this place, and was not delivered, is gone for good.',
    example: { op: 'reset', stream, reason: 'retention' },
  },
  end: { summary: 'The stream has ended, and nothing more comes.', example: SENT_WORDS.end.example },
} as const satisfies Record<keyof typeof POSTED, Words>

interface Words {
  readonly summary: string
  readonly example: object
}

const WEBHOOK_HEADERS = {
  type: 'object',
  required: ['webhook-id', 'webhook-timestamp', 'webhook-signature'],
  properties: {
    'webhook-id': { type: 'string', description: 'The same whenever the message comes again.' },
    'webhook-timestamp': { type: 'string', description: 'Seconds since 1970.' },
    'webhook-signature': {
      type: 'string',
      description: '`v1,` and the HMAC-SHA256 of id, timestamp and body with dots between, in base64.',
    },
  },
}

/** Serves the description of what goes over WebSockets and event streams: AsyncAPI 3.0, from the schemas that the code reads and writes by. */
export function registerMessages(app: GatewayServer, info: { readonly version: string }): void {
  const document = asyncApi(info.version)
  app.route({
    method: 'GET',
    url: '/v1/asyncapi.json',
    schema: { hide: true },
    config: { open: true },
    handler: async () => document,
  })
}

function asyncApi(version: string): object {
  const received = messagesOf(SOCKET_MESSAGES, RECEIVED_WORDS)
  const sent = messagesOf(SENT, SENT_WORDS)
  const { pong: _, ...told } = sent
  const posted = Object.fromEntries(
    Object.entries(messagesOf(POSTED, POSTED_WORDS)).map(([op, message]) => {
      const name = `webhook-${op}`
      return [name, { ...message, name, headers: WEBHOOK_HEADERS }]
    }),
  )
  const inChannel = (messages: object) =>
    Object.fromEntries(Object.keys(messages).map((name) => [name, { $ref: `#/components/messages/${name}` }]))
  const ofChannel = (channel: string, messages: object) =>
    Object.keys(messages).map((name) => ({ $ref: `#/channels/${channel}/messages/${name}` }))
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Tapeline streams',
      version,
      description:
        'What goes over the WebSocket and over server-sent events. The rest is in the OpenAPI document at /docs/json.',
      license: { name: 'Apache-2.0' },
    },
    defaultContentType: 'application/json',
    channels: {
      socket: {
        address: SOCKET_ROUTE,
        description: 'The WebSocket: JSON text frames, up to 1,000 streams.',
        messages: inChannel({ ...received, ...sent }),
        bindings: {
          ws: {
            method: 'GET',
            query: {
              type: 'object',
              properties: {
                key: { type: 'string', description: 'An API key, for clients that cannot set headers.' },
              },
            },
          },
        },
      },
      events: {
        address: '/v1/streams/{stream}/events',
        description:
          'Server-sent events of one stream: the data of each is a message, its id the cursor after it.',
        parameters: { stream: { description: 'Id of the stream.' } },
        messages: inChannel(told),
      },
      webhook: {
        address: null,
        description:
          'One POST a message to the address of a webhook, signed as Standard Webhooks says (docs/webhooks.md). The same id comes again where an answer got lost.',
        messages: inChannel(posted),
      },
    },
    operations: {
      ask: {
        action: 'receive',
        channel: { $ref: '#/channels/socket' },
        messages: ofChannel('socket', received),
        summary: 'What an application sends.',
      },
      tell: {
        action: 'send',
        channel: { $ref: '#/channels/socket' },
        messages: ofChannel('socket', sent),
        summary: 'What the platform sends.',
      },
      tellEvents: {
        action: 'send',
        channel: { $ref: '#/channels/events' },
        messages: ofChannel('events', told),
        summary: 'What the platform sends.',
      },
      post: {
        action: 'send',
        channel: { $ref: '#/channels/webhook' },
        messages: ofChannel('webhook', posted),
        bindings: { http: { method: 'POST', bindingVersion: '0.3.0' } },
        summary: 'What the platform posts to the receiver of a webhook.',
      },
    },
    components: { messages: { ...received, ...sent, ...posted } },
  }
}

/** Messages by their names. */
function messagesOf<Name extends string>(
  schemas: Readonly<Record<Name, z.ZodType>>,
  words: Readonly<Record<Name, Words>>,
): Record<Name, object> {
  const entries = (Object.keys(schemas) as Name[]).map((name) => {
    const { summary, example } = words[name]
    const { $schema: _, ...payload } = z.toJSONSchema(schemas[name], { target: 'draft-7', io: 'input' })
    return [name, { name, summary, payload, examples: [{ payload: example }] }]
  })
  return Object.fromEntries(entries) as Record<Name, object>
}
