import { z } from 'zod'

/** What the routes of the process answer: actors, alerts, health; and what says that a request failed, for the types of handlers and for the API description. Times are ISO 8601 in UTC. */

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
