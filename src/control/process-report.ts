import { z } from 'zod'
import type { ActorReport, Alert } from '../ports/actors.ts'

/** A heartbeat is sent by every process every two seconds: what it says is kept short. */
const MOST_ACTORS = 8
const MOST_ALERTS = 16
const LONGEST_TEXT = 300
const MOST_ITEMS = 10

const errorInfo = z.object({
  code: z.string(),
  message: z.string(),
  step: z.string(),
  attempt: z.number().int(),
  retryable: z.boolean(),
  since: z.number(),
})

/** What a process says of itself with its heartbeat: its machines, except those of applications, and its alerts (R20). */
export const processReportSchema = z.object({
  actors: z.array(
    z.object({
      id: z.string(),
      machine: z.enum(['producer', 'coordinator', 'consumerFixed']),
      state: z.string(),
      since: z.string(),
      restarts: z.number().int(),
      errorInfo: errorInfo.nullable(),
      context: z.record(z.string(), z.unknown()),
    }),
  ),
  alerts: z.array(z.object({ id: z.string(), code: z.string(), message: z.string(), since: z.string() })),
})

export type ProcessReport = z.infer<typeof processReportSchema>

/** The report of a process: bounded, so that at the bound the oldest alerts stay, and texts and lists are cut. */
export function reportOf(actors: readonly ActorReport[], alerts: readonly Alert[]): ProcessReport {
  return {
    actors: actors.flatMap(toldOf).slice(0, MOST_ACTORS),
    alerts: alerts
      .slice(0, MOST_ALERTS)
      .map((alert) => ({ ...alert, message: alert.message.slice(0, LONGEST_TEXT) })),
  }
}

/** There may be thousands of applications, which the gateway that serves them tells about. */
function toldOf({ machine, ...actor }: ActorReport): ProcessReport['actors'] {
  if (machine === 'consumerDynamic') return []
  const context = Object.entries(actor.context).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.slice(0, MOST_ITEMS) : value,
  ])
  const errorInfo = actor.errorInfo && {
    ...actor.errorInfo,
    message: actor.errorInfo.message.slice(0, LONGEST_TEXT),
  }
  return [{ ...actor, machine, errorInfo, context: Object.fromEntries(context) }]
}
