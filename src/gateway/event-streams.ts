import type { ServerResponse } from 'node:http'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { startInterval, startTimer } from '../async/timers.ts'
import { ERROR_KINDS, type ErrorCode, TapelineError } from '../errors.ts'
import { SLOW_CHOICES, type SlowChoice } from '../ports/delivery.ts'
import type { AppMessage } from '../ports/transport.ts'
import type { Caller } from './guard.ts'
import type { GatewayOptions } from './options.ts'
import type { QuotaKeeper } from './quotas.ts'
import { ANSWER_HEADERS, callerIn, type GatewayServer } from './server.ts'
import { warningsOf } from './stream-warnings.ts'
import { watchedEndpoint } from './watched-endpoint.ts'

const PING_MS = 20_000

/** After so long without a word from delivery the answer begins all the same: what comes then is an event. */
const FIRST_WORD_MS = 2_000

/** A comment: clients pass it over. */
const PING = ':\n\n'

const HEAD = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  ...ANSWER_HEADERS,
  // Asks nginx, and what speaks its language, to pass on each event at once.
  'x-accel-buffering': 'no',
}

type EventStreamOptions = Pick<GatewayOptions, 'desk' | 'delivery' | 'eventEndpoint' | 'log' | 'meter'> & {
  readonly newId: () => string
  readonly quotas: QuotaKeeper
}

/** The open event streams of this process. */
export interface EventStreams {
  /** Ends all of them; clients come back with their last id. */
  close(): void
}

/** Serves streams as server-sent events at `/v1/streams/{id}/events`. */
export function registerEventStreams(app: GatewayServer, options: EventStreamOptions): EventStreams {
  const { desk, delivery, eventEndpoint, newId, log, meter, quotas } = options
  const open = new Set<ServerResponse>()

  /** Begins the answer, unless delivery refuses the stream first: then it gives why. */
  const serve = (
    response: ServerResponse,
    {
      caller,
      stream,
      cursor,
      slow,
    }: {
      readonly caller: Caller
      readonly stream: string
      readonly cursor: string | undefined
      readonly slow: SlowChoice | undefined
    },
  ): Promise<TapelineError | undefined> => {
    const { promise, resolve } = Promise.withResolvers<TapelineError | undefined>()
    const begin = (): void => {
      firstWord.stop()
      if (!response.headersSent) response.writeHead(200, HEAD).flushHeaders()
      resolve(undefined)
    }
    const follow = (message: AppMessage): AppMessage | undefined => {
      if (message.op === 'error' && !response.headersSent) {
        resolve(refusal(message))
        return undefined
      }
      begin()
      return message.op === 'subscribed' ? { ...message, ...warningsOf(desk, stream) } : message
    }
    const firstWord = startTimer(begin, FIRST_WORD_MS)
    const connection = delivery.connect(
      caller.app,
      watchedEndpoint(quotas.throttle(caller, eventEndpoint(response, newId())), follow),
    )
    open.add(response)
    const gone = quotas.open(caller, { close: () => response.end(), cut: () => response.destroy() })
    meter.gauge('event_streams', open.size)
    response.once('close', () => {
      firstWord.stop()
      connection.close()
      open.delete(response)
      gone()
      meter.gauge('event_streams', open.size)
    })
    connection.subscribe(stream, cursor, slow)
    return promise
  }

  app.route({
    method: 'GET',
    url: '/v1/streams/:id/events',
    exposeHeadRoute: false,
    schema: {
      operationId: 'readStream',
      summary: 'Read a stream as server-sent events',
      description:
        'Each event has as its data what a WebSocket would get, and as its id the cursor after it: a client that comes back with `Last-Event-ID` misses nothing and gets nothing twice. The answer ends with the stream.',
      tags: ['streams'],
      params: z.object({ id: z.string().min(1).max(128).describe('Id of a stream.') }),
      querystring: z.object({
        cursor: z
          .string()
          .optional()
          .describe('Where to begin; left out: with what comes next. `Last-Event-ID` goes before it.'),
        slow: z
          .enum(SLOW_CHOICES)
          .optional()
          .describe(
            'What becomes of a client that takes less than comes: catch-up (left out means this), latest or disconnect.',
          ),
        key: z.string().optional().describe('An API key, for clients that cannot set headers.'),
      }),
      response: { 200: z.string().describe('text/event-stream') },
    },
    config: {
      errors: ['STREAM_UNKNOWN', 'CURSOR_INVALID', 'INPUT_INVALID', 'QUOTA_EXCEEDED', 'LIMIT_REACHED'],
      takesQueryKey: true,
      isEndless: true,
    },
    handler: async (request, reply) => {
      const caller = callerIn(request)
      quotas.admitConnection(caller)
      const { id: stream } = request.params
      const cursor = lastEventId(request) ?? request.query.cursor
      const { slow } = request.query
      const refused = await serve(reply.raw, { caller, stream, cursor, slow })
      if (refused !== undefined) throw refused
      log.debug({ app: caller.app, stream }, 'event stream opened')
      return reply.hijack()
    },
  })

  const pings = startInterval(() => {
    for (const response of open) if (response.headersSent) response.write(PING)
  }, PING_MS)
  app.addHook('onClose', async () => pings.stop())

  return {
    close() {
      for (const response of open) response.end()
    },
  }
}

/** An empty id is none: a browser sends it where no event had one. */
function lastEventId({ headers }: FastifyRequest): string | undefined {
  const id = headers['last-event-id']
  return typeof id === 'string' && id !== '' ? id : undefined
}

function refusal({ code, message, remedy }: AppMessage & { readonly op: 'error' }): TapelineError {
  const known = Object.hasOwn(ERROR_KINDS, code) ? (code as ErrorCode) : 'INTERNAL'
  return new TapelineError(known, message, remedy === undefined ? {} : { remedy })
}
