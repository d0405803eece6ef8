import { z } from 'zod'
import { decodeCursor, encodeCursor } from '../../domain/cursor.ts'
import { parseStreamRequest, streamRequestSchema } from '../../domain/stream-spec.ts'
import { parseDuration } from '../../domain/time.ts'
import { TapelineError } from '../../errors.ts'
import type { Lease } from '../../ports/streams.ts'
import type { Webhook } from '../../ports/webhooks.ts'
import { beginningOf } from '../beginning.ts'
import type { Caller } from '../guard.ts'
import type { GatewayOptions } from '../options.ts'
import type { QuotaKeeper } from '../quotas.ts'
import { newWebhookSchema, webhookSchema, webhooksSchema } from '../schemas/streams.ts'
import { callerIn, deadlineOf, type GatewayServer } from '../server.ts'
import { parseInput } from '../validation.ts'

type WebhookRouteOptions = Pick<
  GatewayOptions,
  'desk' | 'webhooks' | 'webhookSender' | 'broker' | 'fixedTopics'
> & { readonly newId: () => string; readonly quotas: QuotaKeeper }

const MOST_EVENTS = 1_000
const LONGEST_WAIT_MS = 60_000
const MOST_URL_CHARACTERS = 2_000

const maxWait = z.union([z.number(), z.string()]).transform((value, context) => {
  const ms = parseDuration(value)
  if (ms !== undefined && ms <= LONGEST_WAIT_MS) return ms
  context.addIssue('is no duration of up to 60s')
  return z.NEVER
})

const receiverUrl = z
  .string()
  .max(MOST_URL_CHARACTERS)
  .superRefine((text, context) => {
    const url = URL.parse(text)
    if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:'))
      context.addIssue('is not an address that begins with https:// or http://')
    else if (url.username !== '' || url.password !== '') context.addIssue('has a user name or a password')
  })

const requestSchema = z.strictObject({
  url: receiverUrl.describe('Where messages are posted to: https://example.com/hook.'),
  stream: z.string().min(1).max(128).optional().describe('Id of a stream that it reads; or give spec.'),
  spec: streamRequestSchema
    .optional()
    .describe('A new stream, as POST /v1/streams takes it; or give stream.'),
  cursor: z.string().optional().describe('Where it begins in stream; left out: with what comes next.'),
  maxEvents: z
    .int()
    .min(1)
    .max(MOST_EVENTS)
    .default(100)
    .describe(`The most events of one message: 1 to ${MOST_EVENTS}.`),
  maxWait: maxWait
    .default(1_000)
    .describe(
      'How long an event waits for others of its message: seconds, or text such as 250ms; up to 60s.',
    ),
})

const idParameter = z.object({ id: z.string().min(1).max(128).describe('Id of a webhook.') })
const tags = ['webhooks']

/** Making webhooks, looking at them, pausing, resuming and ending them. */
export function registerWebhooks(
  app: GatewayServer,
  { desk, webhooks, webhookSender, broker, fixedTopics, quotas, newId }: WebhookRouteOptions,
): void {
  app.route({
    method: 'POST',
    url: '/v1/webhooks',
    schema: {
      operationId: 'createWebhook',
      summary: 'Have a stream posted to an address',
      description:
        'The answer holds the secret that verifies messages (Standard Webhooks), this one time. A stream lives as long as a webhook reads it.',
      tags,
      body: requestSchema,
      response: { 201: newWebhookSchema },
    },
    config: {
      errors: [
        ...['INPUT_INVALID', 'BODY_NOT_JSON', 'BODY_TOO_LARGE', 'MEDIA_TYPE_UNSUPPORTED'],
        ...[
          'WEBHOOK_ADDRESS_REFUSED',
          'WEBHOOK_LIMIT',
          'QUOTA_EXCEEDED',
          'STREAM_UNKNOWN',
          'STREAM_LIMIT',
          'OVERLOADED',
          'LIMIT_REACHED',
          'CURSOR_INVALID',
        ],
        ...['TOPIC_CREATION_FAILED', 'CONTROL_UNAVAILABLE', 'BROKER_UNAVAILABLE'],
      ] as const,
    },
    // The domain reads the spec itself: it knows more, and says it better.
    validatorCompiler: () => (value) => ({ value }),
    handler: async (request, reply) => {
      const caller = callerIn(request)
      const signal = deadlineOf(reply)
      const {
        url,
        stream,
        spec,
        cursor,
        maxEvents,
        maxWait: maxWaitMs,
      } = parseInput(requestSchema.extend({ spec: z.unknown().optional() }), request.body)
      if ((stream === undefined) === (spec === undefined)) throw oneOf()
      if (stream === undefined && cursor !== undefined) throw oneOf()
      await webhookSender.check(url, signal)
      const webhookId = newId()
      const asked = await quotas.admitWebhook(caller, webhookId, signal)
      const create = async () => {
        const { lease, begin } =
          stream === undefined
            ? await makeStream(caller, spec, signal)
            : await findStream(caller, stream, signal)
        const ask = {
          ...{ app: lease.standing ? caller.app : lease.app, leaseId: lease.id, url, maxEvents, maxWaitMs },
          ...{ secret: webhookSender.newSecret(), cursor: checked(lease, cursor) ?? begin },
        }
        const webhook = await webhooks.create(webhookId, ask, signal).catch(async (error: unknown) => {
          // Nobody knows of its stream. Where the outcome is not known there may be a webhook that reads it.
          const isRefused = error instanceof TapelineError && error.code === 'WEBHOOK_LIMIT'
          if (isRefused && stream === undefined) await desk.end(lease.id, lease.app, signal)
          throw error
        })
        return { ask, webhook }
      }
      const { ask, webhook } = await create().finally(asked)
      reply.code(201).header('location', `/v1/webhooks/${encodeURIComponent(webhook.id)}`)
      return { ...viewOf(webhook), secret: ask.secret }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/webhooks',
    schema: {
      operationId: 'listWebhooks',
      summary: "The application's webhooks",
      description:
        'An admin key, and everybody where no keys are configured, sees those of all applications.',
      tags,
      response: { 200: webhooksSchema },
    },
    config: { errors: ['BROKER_UNAVAILABLE'] },
    handler: async (request, reply) => {
      const caller = callerIn(request)
      const found = await webhooks.list(caller.admin ? undefined : caller.app, deadlineOf(reply))
      return { webhooks: found.map(viewOf) }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/webhooks/:id',
    schema: {
      operationId: 'getWebhook',
      summary: 'One webhook',
      tags,
      params: idParameter,
      response: { 200: webhookSchema },
    },
    config: { errors: ['WEBHOOK_UNKNOWN', 'CONTROL_UNAVAILABLE', 'BROKER_UNAVAILABLE'] },
    handler: async (request, reply) =>
      viewOf(await find(request.params.id, callerIn(request), deadlineOf(reply))),
  })

  app.route({
    method: 'DELETE',
    url: '/v1/webhooks/:id',
    schema: {
      operationId: 'deleteWebhook',
      summary: 'End a webhook',
      description: 'Its stream stays, for as long as its ttl says.',
      tags,
      params: idParameter,
      response: { 204: z.undefined().describe('Ended.') },
    },
    config: { errors: ['WEBHOOK_UNKNOWN', 'CONTROL_UNAVAILABLE', 'BROKER_UNAVAILABLE'] },
    handler: async (request, reply) => {
      const signal = deadlineOf(reply)
      const { id, app: owner } = await find(request.params.id, callerIn(request), signal)
      await webhooks.change(id, owner, 'end', signal)
      return reply.code(204).send()
    },
  })

  for (const [change, summary] of [
    ['pause', 'Send nothing until it is resumed'],
    ['resume', 'Go on where it was'],
  ] as const) {
    app.route({
      method: 'POST',
      url: `/v1/webhooks/:id/${change}`,
      schema: {
        operationId: `${change}Webhook`,
        summary,
        tags,
        params: idParameter,
        response: { 200: webhookSchema },
      },
      config: { errors: ['WEBHOOK_UNKNOWN', 'CONTROL_UNAVAILABLE', 'BROKER_UNAVAILABLE'] },
      handler: async (request, reply) => {
        const signal = deadlineOf(reply)
        const caller = callerIn(request)
        const { id, app: owner } = await find(request.params.id, caller, signal)
        await webhooks.change(id, owner, change, signal)
        return viewOf(await find(id, caller, signal))
      },
    })
  }

  async function find(id: string, caller: Caller, signal: AbortSignal): Promise<Webhook> {
    const webhook = await webhooks.find(id, signal)
    // Another application's is unknown to the caller, so that ids tell nothing.
    if (webhook === undefined || (!caller.admin && webhook.app !== caller.app))
      throw new TapelineError('WEBHOOK_UNKNOWN', `there is no webhook ${id}`)
    return webhook
  }

  async function makeStream(
    caller: Caller,
    spec: unknown,
    signal: AbortSignal,
  ): Promise<{ readonly lease: Lease; readonly begin: string }> {
    const ask = { leaseId: newId(), app: caller.app, ...parseStreamRequest(spec, Date.now()) }
    const asked = quotas.admitStream(caller, ask.leaseId)
    const lease = await desk.request(ask, signal).finally(asked)
    return { lease, begin: beginningOf(lease, fixedTopics) ?? (await endOf(lease, signal)) }
  }

  async function findStream(
    caller: Caller,
    id: string,
    signal: AbortSignal,
  ): Promise<{ readonly lease: Lease; readonly begin: string }> {
    const lease = await desk.find(id, signal)
    if (lease === undefined || (!caller.admin && !lease.standing && lease.app !== caller.app))
      throw new TapelineError('STREAM_UNKNOWN', `there is no stream ${id}`)
    return { lease, begin: await endOf(lease, signal) }
  }

  /** The cursor of what comes next. */
  async function endOf({ id, topic, topicId }: Lease, signal: AbortSignal): Promise<string> {
    const [found] = await broker.describeTopics([topic], signal)
    if (found === undefined)
      throw new TapelineError('BROKER_UNAVAILABLE', `the broker does not show the topic ${topic} at present`)
    const offset = found.offsets[0]?.end ?? 0
    return encodeCursor({ lease: id, topics: [{ topicId, offset, memory: undefined }] })
  }

  function checked({ id, spec }: Lease, cursor: string | undefined): string | undefined {
    if (cursor === undefined) return undefined
    const { lease } = decodeCursor(cursor, fixedTopics[spec.channel])
    if (lease !== id) throw new TapelineError('CURSOR_INVALID', 'the cursor belongs to another stream')
    return cursor
  }
}

function oneOf(): TapelineError {
  const remedy = 'Give the id of a stream as stream, with or without its cursor; or a new stream as spec.'
  const message = 'one of stream and spec is needed, and a cursor goes with stream'
  return new TapelineError('INPUT_INVALID', message, {
    remedy,
    fields: [{ field: 'stream', value: null, message, remedy }],
  })
}

function viewOf(webhook: Webhook): z.output<typeof webhookSchema> {
  const { id, app, url, leaseId, maxEvents, maxWaitMs, state, failure, deliveredAt, createdAt } = webhook
  return {
    ...{ id, app, url, stream: leaseId, maxEvents, maxWait: maxWaitMs / 1000, state },
    failure: failure && { ...failure, since: new Date(failure.since).toISOString() },
    deliveredAt: deliveredAt === null ? null : new Date(deliveredAt).toISOString(),
    createdAt: new Date(createdAt).toISOString(),
  }
}
