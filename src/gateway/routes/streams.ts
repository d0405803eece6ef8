import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { StreamWarning } from '../../domain/offer.ts'
import {
  parseStreamChange,
  parseStreamRequest,
  streamChangeSchema,
  streamRequestSchema,
} from '../../domain/stream-spec.ts'
import { TapelineError } from '../../errors.ts'
import type { Lease, StreamDesk } from '../../ports/streams.ts'
import { beginningOf } from '../beginning.ts'
import type { Caller } from '../guard.ts'
import type { BeyondKept } from '../kept.ts'
import type { GatewayOptions } from '../options.ts'
import type { QuotaKeeper } from '../quotas.ts'
import { streamSchema, streamsSchema } from '../schemas/streams.ts'
import { callerIn, deadlineOf, type GatewayServer, SOCKET_ROUTE } from '../server.ts'
import { warningsOf } from '../stream-warnings.ts'

interface StreamRouteOptions {
  readonly desk: StreamDesk
  readonly newLeaseId: () => string
  readonly quotas: QuotaKeeper
  readonly fixedTopics: GatewayOptions['fixedTopics']
  readonly beyondKept: BeyondKept
}

const idParameter = z.object({ id: z.string().min(1).max(128).describe('Id of a stream.') })
const tags = ['streams']

const EXAMPLES = [
  { channel: 'trade', symbols: ['BTC-*'], where: 'size >= 0.5 && side == "buy"', fields: ['price', 'size'] },
  { channel: 'quote', symbols: ['ETH-USD'], exchanges: ['coinbase'], from: '-10m', ttl: '30m' },
]

const CHANGE_EXAMPLES = [{ where: 'size >= 2' }, { channel: 'quote', symbols: ['ETH-USD'] }]

/** Asking for streams, looking at them, moving and ending them. */
export function registerStreams(
  app: GatewayServer,
  { desk, newLeaseId, fixedTopics, beyondKept, quotas }: StreamRouteOptions,
): void {
  app.route({
    method: 'POST',
    url: '/v1/streams',
    schema: {
      operationId: 'createStream',
      summary: 'Ask for a stream',
      description:
        'Answers when it can be read. Equal requests share one topic; each gets a lease of its own. What no source gives at present is in `warnings`, and may come later.',
      tags,
      body: streamRequestSchema,
      response: { 201: streamSchema },
    },
    config: {
      examples: EXAMPLES,
      errors: [
        ...BODY_ERRORS,
        'STREAM_LIMIT',
        'OVERLOADED',
        'LIMIT_REACHED',
        'QUOTA_EXCEEDED',
        'TOPIC_CREATION_FAILED',
        'BROKER_REFUSED',
        'BROKER_FORBIDDEN',
        'CONTROL_UNAVAILABLE',
      ],
    },
    // The domain reads the request itself: it knows more, and says it better.
    validatorCompiler: () => (value) => ({ value }),
    handler: async (request, reply) => {
      const caller = callerIn(request)
      const { app: owner } = caller
      const ask = { leaseId: newLeaseId(), app: owner, ...parseStreamRequest(request.body, Date.now()) }
      const signal = deadlineOf(reply)
      const asked = quotas.admitStream(caller, ask.leaseId)
      const lease = await desk.request(ask, signal).finally(asked)
      const beyond = await beyondKept(ask, signal)
      reply.code(201).header('location', `/v1/streams/${encodeURIComponent(lease.id)}`)
      const cursor = beginningOf(lease, fixedTopics)
      return { ...viewOf(desk, lease, request, beyond), ...(cursor === undefined ? {} : { cursor }) }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/streams',
    schema: {
      operationId: 'listStreams',
      summary: "The application's streams",
      description:
        'An admin key, and everybody where no keys are configured, sees those of all applications.',
      tags,
      response: { 200: streamsSchema },
    },
    handler: async (request) => {
      const caller = callerIn(request)
      const leases = caller.admin ? desk.list() : desk.list(caller.app)
      return { streams: leases.map((lease) => viewOf(desk, lease, request)) }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/streams/:id',
    schema: {
      operationId: 'getStream',
      summary: 'One stream',
      tags,
      params: idParameter,
      response: { 200: streamSchema },
    },
    config: { errors: ['STREAM_UNKNOWN'] },
    handler: async (request, reply) =>
      viewOf(desk, await find(request.params.id, callerIn(request), deadlineOf(reply)), request),
  })

  app.route({
    method: 'PATCH',
    url: '/v1/streams/:id',
    schema: {
      operationId: 'modifyStream',
      summary: 'Move a stream to another request',
      description:
        'What is given takes the place of what there is, and null removes it. The stream goes on at an exact place: up to there what the former request gave, from there on what the new one gives. Sockets and webhooks stay attached, and cursors stay good. Answers when the place is set.',
      tags,
      params: idParameter,
      body: streamChangeSchema,
      response: { 200: streamSchema },
    },
    config: {
      examples: CHANGE_EXAMPLES,
      errors: [
        ...BODY_ERRORS,
        'STREAM_UNKNOWN',
        'STREAM_STANDING',
        'MOVE_LIMIT',
        'TOPIC_CREATION_FAILED',
        'BROKER_REFUSED',
        'BROKER_FORBIDDEN',
        'CONTROL_UNAVAILABLE',
      ],
    },
    // The domain reads the change itself: it knows more, and says it better.
    validatorCompiler: () => (value) => ({ value }),
    handler: async (request, reply) => {
      const { id } = request.params as { id: string }
      const lease = await find(id, callerIn(request), deadlineOf(reply))
      if (lease.standing) throw new TapelineError('STREAM_STANDING', `the configuration asks for ${id}`)
      const ask = { leaseId: id, app: lease.app, ...parseStreamChange(request.body, lease, Date.now()) }
      return viewOf(desk, await desk.move(ask, deadlineOf(reply)), request)
    },
  })

  app.route({
    method: 'DELETE',
    url: '/v1/streams/:id',
    schema: {
      operationId: 'deleteStream',
      summary: 'End a stream',
      description: 'Its topic goes with the last lease, after a grace.',
      tags,
      params: idParameter,
      response: { 204: z.undefined().describe('Ended.') },
    },
    config: { errors: ['STREAM_UNKNOWN', 'CONTROL_UNAVAILABLE'] },
    handler: async (request, reply) => {
      const { id } = request.params
      const caller = callerIn(request)
      const lease = await desk.find(id, deadlineOf(reply))
      if (lease !== undefined) refuseForeign(lease, caller)
      // One that is not there may have been ended for a DELETE whose answer was lost: the coordinator knows whose it was.
      await desk.end(id, lease?.app ?? caller.app, deadlineOf(reply))
      return reply.code(204).send()
    },
  })

  async function find(id: string, caller: Caller, signal: AbortSignal): Promise<Lease> {
    const lease = await desk.find(id, signal)
    if (lease === undefined) throw unknownStream(id)
    refuseForeign(lease, caller)
    return lease
  }
}

/** Another application's stream is unknown to the caller, so that ids tell nothing. */
function refuseForeign({ id, app }: Lease, caller: Caller): void {
  if (!caller.admin && app !== caller.app) throw unknownStream(id)
}

function unknownStream(id: string): TapelineError {
  return new TapelineError('STREAM_UNKNOWN', `there is no stream ${id}`)
}

const BODY_ERRORS = ['INPUT_INVALID', 'BODY_NOT_JSON', 'BODY_TOO_LARGE', 'MEDIA_TYPE_UNSUPPORTED'] as const

function viewOf(
  desk: StreamDesk,
  lease: Lease,
  request: FastifyRequest,
  beyond: readonly StreamWarning[] = [],
): z.output<typeof streamSchema> {
  const { id, app, topic, spec, ttlMs, createdAt, standing } = lease
  const lastReadAt = desk.lastReadAt(id)
  return {
    id,
    app,
    topic,
    spec,
    ttl: ttlMs / 1000,
    createdAt: new Date(createdAt).toISOString(),
    lastReadAt: lastReadAt === undefined ? null : new Date(lastReadAt).toISOString(),
    standing,
    websocket: socketAddress(request),
    ...warningsOf(desk, id, beyond),
  }
}

/** The address of the WebSocket as the caller reaches us, also through a proxy that ends TLS. */
function socketAddress({ headers, host, protocol }: FastifyRequest): string {
  const scheme = protocol === 'https' || headers['x-forwarded-proto'] === 'https' ? 'wss' : 'ws'
  return `${scheme}://${host}${SOCKET_ROUTE}`
}
