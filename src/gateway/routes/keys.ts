import { z } from 'zod'
import { appNameSchema } from '../../domain/app-name.ts'
import { type IssuedKey, SCOPES } from '../../ports/keys.ts'
import { digestOf, requireAdmin } from '../guard.ts'
import type { GatewayOptions } from '../options.ts'
import { type keySchema, keysSchema, newKeySchema } from '../schemas/streams.ts'
import { callerIn, deadlineOf, type GatewayServer } from '../server.ts'

type KeyRouteOptions = Pick<GatewayOptions, 'issuedKeys'> & {
  readonly newId: () => string
  /** The text of a new key. */
  readonly newKey: () => string
}

const MOST = 1_000_000
const quota = z.int().min(0).max(MOST).exactOptional()

const requestSchema = z.strictObject({
  app: appNameSchema.describe('The application, which owns what it asks for.'),
  scopes: z
    .array(z.enum(SCOPES))
    .min(1)
    .default(['read', 'streams'])
    .describe(
      'read: streams and history; streams: making and ending streams and webhooks; admin: everything, also what is of others.',
    ),
  quotas: z
    .strictObject({
      streams: quota.describe('The most streams of the application.'),
      sockets: quota.describe('The most WebSockets and event streams of the application in one gateway.'),
      webhooks: quota.describe('The most webhooks of the application.'),
      eventsPerSecond: z
        .int()
        .min(1)
        .max(MOST)
        .exactOptional()
        .describe(
          'How many events a second its sockets and event streams get together in one gateway; more waits.',
        ),
    })
    .default({})
    .describe('Left out: no bounds but those of the configuration.'),
})

const tags = ['keys']

/** Making keys of applications, looking at them, revoking them (R26). */
export function registerKeys(app: GatewayServer, { issuedKeys, newId, newKey }: KeyRouteOptions): void {
  app.route({
    method: 'POST',
    url: '/v1/keys',
    schema: {
      operationId: 'createKey',
      summary: 'Make a key for an application',
      description:
        'The answer holds the key, this one time: the platform keeps its SHA-256 alone. For admins.',
      tags,
      body: requestSchema,
      response: { 201: newKeySchema },
    },
    config: {
      errors: ['FORBIDDEN', 'INPUT_INVALID', 'BODY_NOT_JSON', 'KEY_LIMIT', 'CONTROL_UNAVAILABLE'],
    },
    handler: async (request, reply) => {
      requireAdmin(callerIn(request))
      const { app: owner, scopes, quotas } = request.body
      const text = newKey()
      const ask = { id: newId(), digest: digestOf(text).toString('hex'), app: owner, scopes, quotas }
      const key = await issuedKeys.create(ask, deadlineOf(reply))
      reply.code(201).header('location', `/v1/keys/${encodeURIComponent(key.id)}`)
      return { ...viewOf(key), key: text }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/keys',
    schema: {
      operationId: 'listKeys',
      summary: 'The keys of all applications',
      description: 'Those of the environment are not among them. For admins.',
      tags,
      response: { 200: keysSchema },
    },
    config: { errors: ['FORBIDDEN'] },
    handler: async (request) => {
      requireAdmin(callerIn(request))
      return { keys: issuedKeys.list().map(viewOf) }
    },
  })

  app.route({
    method: 'DELETE',
    url: '/v1/keys/:id',
    schema: {
      operationId: 'revokeKey',
      summary: 'Revoke a key',
      description:
        'Every gateway turns it away from then on, and closes the sockets that it opened. For admins.',
      tags,
      params: z.object({ id: z.string().min(1).max(128).describe('Id of a key.') }),
      response: { 204: z.undefined().describe('Revoked.') },
    },
    config: { errors: ['FORBIDDEN', 'KEY_UNKNOWN', 'CONTROL_UNAVAILABLE'] },
    handler: async (request, reply) => {
      requireAdmin(callerIn(request))
      await issuedKeys.revoke(request.params.id, deadlineOf(reply))
      return reply.code(204).send()
    },
  })
}

function viewOf({ id, app, scopes, quotas, createdAt, revokedAt }: IssuedKey): z.output<typeof keySchema> {
  return {
    ...{ id, app, scopes: [...scopes], quotas },
    createdAt: new Date(createdAt).toISOString(),
    revokedAt: revokedAt === null ? null : new Date(revokedAt).toISOString(),
  }
}
