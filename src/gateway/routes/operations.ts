import { z } from 'zod'
import { TapelineError } from '../../errors.ts'
import { requireOperator } from '../guard.ts'
import type { GatewayOptions, Readiness } from '../options.ts'
import {
  actorsSchema,
  alertsSchema,
  healthSchema,
  readinessSchema,
  resetSchema,
} from '../schemas/operations.ts'
import { callerIn, deadlineOf, type GatewayServer } from '../server.ts'
import type { Visibility } from '../visible.ts'

/** Of the Prometheus text format. */
const METRICS_MEDIA_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

const tags = ['operations']

/** Looking at the running platform from outside. */
export function registerOperations(
  app: GatewayServer,
  {
    actors,
    alerts,
    metrics,
    ready,
    info,
    visible,
  }: Pick<GatewayOptions, 'actors' | 'alerts' | 'metrics' | 'ready' | 'info'> & {
    readonly visible: Visibility
  },
  { openMetrics = false } = {},
): void {
  app.route({
    method: 'GET',
    url: '/v1/actors',
    schema: {
      operationId: 'listActors',
      summary: 'The state machines',
      description:
        'Every one of this process, and the producers, coordinators and fixed consumers of the other processes as they said of themselves within the last seconds, under ids with `@` and the instance. Those of other applications, and the names of their topics, are for admins.',
      tags,
      response: { 200: actorsSchema },
    },
    handler: async (request) => ({ actors: visible.actors(callerIn(request), actors.list()) }),
  })

  app.route({
    method: 'POST',
    url: '/v1/actors/:id/reset',
    schema: {
      operationId: 'resetActor',
      summary: 'Send RESET to an actor',
      description:
        'It goes back to its initial state, keeps what it has in hand and does the work again. From this machine or with an admin key.',
      tags,
      params: z.object({ id: z.string().min(1).max(200).describe('Id of an actor.') }),
      response: { 202: resetSchema },
    },
    config: { errors: ['FORBIDDEN', 'ACTOR_UNKNOWN', 'CONTROL_UNAVAILABLE'] },
    handler: async (request, reply) => {
      const caller = callerIn(request)
      requireOperator(caller)
      const { id } = request.params
      const known = actors.list().filter((each) => each.id === id)
      if (known.length > 0 && visible.actors(caller, known).length === 0)
        throw new TapelineError('ACTOR_UNKNOWN', `no actor ${id} runs here`)
      await actors.reset(id, deadlineOf(reply))
      reply.code(202)
      return { id, event: 'RESET' as const }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/alerts',
    schema: {
      operationId: 'listAlerts',
      summary: 'What lasts and a person should know about',
      description:
        'Of this process and, under ids with `@` and the instance, of the others. Those of webhooks and machines of other applications are for admins.',
      tags,
      response: { 200: alertsSchema },
    },
    handler: async (request) => ({ alerts: visible.alerts(callerIn(request), alerts()) }),
  })

  app.route({
    method: 'GET',
    url: '/healthz',
    schema: {
      operationId: 'health',
      summary: 'Whether the process is alive',
      tags,
      security: [],
      response: { 200: healthSchema },
    },
    config: { open: true },
    handler: async () => ({ status: 'alive' as const, version: info.version }),
  })

  app.route({
    method: 'GET',
    url: '/readyz',
    schema: {
      operationId: 'readiness',
      summary: 'Whether everything runs',
      description: '503 with the same body while something does not.',
      tags,
      security: [],
      response: { 200: readinessSchema, 503: readinessSchema },
    },
    config: { open: true },
    handler: async (request, reply) => {
      const readiness = ready()
      reply.code(readiness.ready ? 200 : 503)
      return viewOf(readiness, request.caller !== null)
    },
  })

  app.route({
    method: 'GET',
    url: '/metrics',
    schema: {
      operationId: 'metrics',
      summary: 'Metrics in the Prometheus text format',
      tags,
      ...(openMetrics && { security: [] }),
      response: { 200: { description: 'The metrics.', content: { 'text/plain': { schema: z.string() } } } },
    },
    config: openMetrics ? { open: true } : {},
    handler: async (_request, reply) => reply.type(METRICS_MEDIA_TYPE).send(await metrics()),
  })
}

/** The details may name servers: they are not for strangers. */
function viewOf({ ready, checks }: Readiness, withDetail: boolean): z.output<typeof readinessSchema> {
  return {
    ready,
    checks: checks.map(({ name, ok, detail }) => (withDetail ? { name, ok, detail } : { name, ok })),
  }
}
