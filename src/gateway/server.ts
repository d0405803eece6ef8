import type { ServerOptions as HttpOptions, IncomingMessage } from 'node:http'
import fastifyWebsocket from '@fastify/websocket'
import type { FastifyBaseLogger, RawReplyDefaultExpression, RawRequestDefaultExpression } from 'fastify'
import {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
  type RawServerDefault,
} from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { startTimer } from '../async/timers.ts'
import { type ErrorCode, TapelineError } from '../errors.ts'
import type { Scope } from '../ports/keys.ts'
import type { Log, Meter } from '../ports/log.ts'
import { answerErrors, answerMalformed, pathOf, sendProblem } from './error-answers.ts'
import { type Caller, requireScope } from './guard.ts'
import type { ServerTls } from './options.ts'
import { type Origins, PREFLIGHT_ANSWER, READABLE_ANSWER } from './origins.ts'
import { errorOf } from './problem.ts'
import { parseStrictJson } from './strict-json.ts'
import { validatorCompiler } from './validation.ts'

/** The largest body of a request and the largest message of a WebSocket that is read, in bytes. */
export const LARGEST_MESSAGE = 64 * 1024

/** A larger WebSocket message ends the connection (1009) before it is held in memory. */
const LARGEST_FRAME = 1024 * 1024

/** How long a request may take to arrive, and then to be answered unless its route says otherwise, in milliseconds. */
const REQUEST_MS = 15_000

/** What every answer has: no browser guesses what it is, and none tells other sites where it came from. */
export const ANSWER_HEADERS = { 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' }

export const SOCKET_ROUTE = '/v1/ws'

export type GatewayServer = FastifyInstance<
  RawServerDefault,
  RawRequestDefaultExpression,
  RawReplyDefaultExpression,
  FastifyBaseLogger,
  ZodTypeProvider
>

declare module 'fastify' {
  interface FastifyRequest {
    /** Who sent it; null on a route that is open to everybody, and no valid key came with it. */
    caller: Caller | null
  }
  interface FastifyContextConfig {
    /** What a key must be for to use the route; left out: `read` for GET, else `streams`. Routes for admins look by themselves. */
    readonly scope?: Scope
    /** Open without an API key. */
    readonly open?: true
    /** Is a WebSocket. */
    readonly isSocket?: true
    /** Takes an API key in the query. */
    readonly takesQueryKey?: true
    /** Its answer ends with its client: how long it took says nothing. */
    readonly isEndless?: true
    /** Bodies as they may be, for its description. */
    readonly examples?: readonly object[]
    /** What the route may answer besides its results, for its description. */
    readonly errors?: readonly ErrorCode[]
  }
}

interface ServerOptions {
  readonly identify: (request: IncomingMessage, queryKey?: string) => Caller
  /** Whether the gateway is closing, so that nothing new is begun. */
  readonly closing: () => boolean
  readonly tls: ServerTls | undefined
  readonly origins: Origins
  readonly log: Log
  readonly meter: Meter
}

/** An HTTP server whose every answer, errors of the framework included, is JSON or a problem document. */
export async function createServer(options: ServerOptions): Promise<GatewayServer> {
  const { log, tls } = options
  const app = fastify({
    bodyLimit: LARGEST_MESSAGE,
    requestTimeout: REQUEST_MS,
    return503OnClosing: false,
    routerOptions: { maxParamLength: 200 },
    ...listenerOptions(tls),
    clientErrorHandler: answerMalformed,
    frameworkErrors: (thrown, request, reply) => {
      const error = errorOf(thrown, () => pathOf(request))
      return sendProblem(error, reply)
    },
  }).withTypeProvider<ZodTypeProvider>()

  app.setValidatorCompiler(validatorCompiler)
  // Results come typed from our own ports: checking them again would cost, and hide nothing.
  app.setSerializerCompiler(() => JSON.stringify)
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, readJson)

  await app.register(fastifyWebsocket, {
    options: { maxPayload: LARGEST_FRAME, perMessageDeflate: false },
    errorHandler: (err, socket) => {
      log.debug({ err }, 'socket failed')
      socket.close(1011)
    },
    // The gateway tells its sockets by itself and then ends them.
    preClose: (done) => done(),
  })
  hookRequests(app, options)
  answerErrors(app, log)
  return app
}

function listenerOptions(tls: ServerTls | undefined): { readonly http: HttpOptions } {
  const http: HttpOptions = {
    // Other upgrades, such as curl's offer of HTTP/2, are passed over, as RFC 9110 allows.
    shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket',
  }
  // By its types the framework would make another kind of server of the second one, which differs in nothing that is used here.
  const both = { http, https: tls && { ...http, ...tls, handshakeTimeout: REQUEST_MS } }
  return tls === undefined ? { http } : both
}

function hookRequests(app: GatewayServer, { identify, closing, origins, log, meter }: ServerOptions): void {
  app.decorateRequest('caller', null)
  app.addHook('onRequest', async (request, reply) => {
    if (closing()) throw new TapelineError('SHUTTING_DOWN', 'the gateway is closing')
    tellPages(request, reply, origins)
    if (isPreflight(request)) return reply.code(204).headers(PREFLIGHT_ANSWER).send()
    request.caller = callerOf(request, identify)
    if (request.caller !== null && !isOpen(request)) requireScope(request.caller, scopeOf(request))
    refuseEncoded(request)
    if (request.ws && !request.routeOptions.config.isSocket) {
      throw new TapelineError('UPGRADE_REQUIRED', `there is no WebSocket at ${pathOf(request)}`)
    }
    return undefined
  })
  app.addHook('onSend', async (_request, reply) => {
    reply.headers(ANSWER_HEADERS)
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
    if (closing()) reply.header('connection', 'close')
  })
  app.addHook('onResponse', async ({ method, routeOptions }, { statusCode, elapsedTime }) => {
    // The route's pattern, never the address: that may hold a key, and has no end of values.
    const route = routeOptions.url ?? '(none)'
    if (routeOptions.config.isEndless && statusCode < 400) return
    const seconds = elapsedTime / 1000
    meter.observe('http_request_seconds', seconds, { method, route, status: String(statusCode) })
    log.debug({ method, route, status: statusCode, seconds }, 'request')
  })
}

/** Lets a page of another site read the answer where it may call. Raises ORIGIN_REFUSED. */
function tellPages({ headers }: FastifyRequest, { raw }: FastifyReply, origins: Origins): void {
  // In the raw answer, which streams of events write by themselves.
  if (origins.any) raw.setHeader('vary', 'origin')
  const origin = origins.admit(headers)
  if (origin === undefined) return
  raw.setHeaders(new Map(Object.entries({ 'access-control-allow-origin': origin, ...READABLE_ANSWER })))
}

function isPreflight({ method, headers }: FastifyRequest): boolean {
  return method === 'OPTIONS' && headers['access-control-request-method'] !== undefined
}

/** A compressed body would be read as if it were not: no route takes one. Raises MEDIA_TYPE_UNSUPPORTED. */
function refuseEncoded({ headers }: FastifyRequest): void {
  const encoding = headers['content-encoding']
  if (encoding === undefined || encoding.toLowerCase() === 'identity') return
  const [field, value, message] = ['content-encoding', encoding, 'is not taken: no body may be compressed']
  const remedy = 'Send the body as it is, without content-encoding.'
  throw new TapelineError('MEDIA_TYPE_UNSUPPORTED', `content-encoding ${JSON.stringify(value)} ${message}`, {
    remedy,
    fields: [{ field, value, message, remedy }],
  })
}

/** Reads a body. An empty one is left to the route, which may need none. */
async function readJson(_request: FastifyRequest, body: Buffer): Promise<unknown> {
  return body.length === 0 ? undefined : parseStrictJson(body)
}

/** Who sent the request, on a route that is not open. */
export function callerIn({ caller }: FastifyRequest): Caller {
  if (caller === null) throw new TapelineError('UNAUTHORIZED', 'the request carries no valid API key')
  return caller
}

/**
 * Aborts when the client has gone or the time is over (with TIMEOUT). The framework's own `request.signal` cannot be used:
 * it is aborted as soon as the body of a request has been read.
 */
export function deadlineOf(reply: FastifyReply, millis: number = REQUEST_MS): AbortSignal {
  const controller = new AbortController()
  const timer = startTimer(() => {
    controller.abort(new TapelineError('TIMEOUT', `no answer within ${millis / 1000} s`))
  }, millis)
  reply.raw.once('close', () => {
    timer.stop()
    controller.abort()
  })
  return controller.signal
}

/** Whether a route takes everybody, with a key or without. */
function isOpen(request: FastifyRequest): boolean {
  const { config, url } = request.routeOptions
  return config.open ?? url?.startsWith('/docs') ?? isVisit(request)
}

/** Below these stand answers for programs: what is not there is told as to them, also to somebody in a browser. */
const FOR_PROGRAMS = /^\/(v1|udf|docs|assets|diagrams)\//

/** Whether somebody in a browser looks for a page where no route is. */
export function isVisit({ is404, method, url, headers }: FastifyRequest): boolean {
  return is404 && method === 'GET' && !FOR_PROGRAMS.test(url) && /\btext\/html\b/.test(headers.accept ?? '')
}

function scopeOf({ method, routeOptions }: FastifyRequest): Scope {
  return routeOptions.config.scope ?? (method === 'GET' || method === 'HEAD' ? 'read' : 'streams')
}

/** Who calls. On an open route a missing or wrong key makes nobody of the caller; the rules for pages hold everywhere. */
function callerOf(request: FastifyRequest, identify: ServerOptions['identify']): Caller | null {
  const takesKey = request.ws || request.routeOptions.config.takesQueryKey
  try {
    return identify(request.raw, takesKey ? queryKeyOf(request) : undefined)
  } catch (error) {
    if (isOpen(request) && error instanceof TapelineError && error.code === 'UNAUTHORIZED') return null
    throw error
  }
}

/** Browsers cannot set headers on a WebSocket or a stream of events, so there the key may stand in the query. It is never logged. */
function queryKeyOf({ query }: FastifyRequest): string | undefined {
  const key = typeof query === 'object' && query !== null && 'key' in query ? query.key : undefined
  return typeof key === 'string' ? key : undefined
}
