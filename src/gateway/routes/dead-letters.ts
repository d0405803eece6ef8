import { z } from 'zod'
import { MOMENT_FORMS } from '../../domain/moment.ts'
import { type FieldError, TapelineError } from '../../errors.ts'
import type { DeadLetters } from '../../ports/dead-letters.ts'
import { requireOperator } from '../guard.ts'
import { deadLetterContentSchema, deadLettersSchema, replayResultsSchema } from '../schemas/topics.ts'
import { callerIn, deadlineOf, type GatewayServer } from '../server.ts'
import { timeSchema } from '../validation.ts'

const MOST_SHOWN = 1_000
const MOST_REPLAYED = 500
/** Producers have 10 s for each hundred letters. */
const REPLAY_MS = 60_000

const limitOf = (most: number, value: number) =>
  z.coerce.number().int().min(1).max(most).default(value).describe(`At most so many, 1 to ${most}.`)
const place = z.coerce.number().int().min(0)

const filters = {
  topic: z
    .string()
    .min(1)
    .max(250)
    .optional()
    .describe('Topic of the refused record, such as market.trades.'),
  code: z
    .string()
    .regex(/^[A-Z_]{1,64}$/, 'is not an error code')
    .optional()
    .describe('Why it was refused, such as EVENT_INVALID.'),
  since: timeSchema('first').optional().describe(`Refused then or later: ${MOMENT_FORMS}.`),
}

const idSchema = z
  .string()
  .regex(/^[^:\s]{1,250}:\d{1,9}:\d{1,16}$/, 'is not topic:partition:offset')
  .describe('topic:partition:offset of the refused record.')

const replaySchema = z.strictObject({
  ids: z
    .array(idSchema)
    .min(1)
    .max(MOST_REPLAYED)
    .optional()
    .describe(`1 to ${MOST_REPLAYED} ids of dead letters, or leave it out and give all.`),
  all: z
    .literal(true)
    .optional()
    .describe('true: all that were never replayed, the oldest first; goes with topic, code and since.'),
  ...filters,
  limit: limitOf(MOST_REPLAYED, 100),
  from: place.optional().describe('Goes with all: next of the answer before.'),
})

const tags = ['dead letters']
const description = 'From this machine or with an admin key.'

/** The records that could not be stored, and their way back. */
export function registerDeadLetters(app: GatewayServer, deadLetters: DeadLetters): void {
  app.route({
    method: 'GET',
    url: '/v1/dead-letters',
    schema: {
      operationId: 'listDeadLetters',
      summary: 'Records that could not be stored, the newest first',
      description,
      tags,
      querystring: z.strictObject({
        ...filters,
        state: z
          .enum(['open', 'replayed', 'all'])
          .default('all')
          .describe('open: never replayed; replayed: entered again at least once; all: both.'),
        limit: limitOf(MOST_SHOWN, 100),
        before: place.optional().describe('next of the answer before.'),
      }),
      response: { 200: deadLettersSchema },
    },
    config: { errors: ['INPUT_INVALID', 'FORBIDDEN', 'BROKER_UNAVAILABLE', 'TIMEOUT'] },
    preValidation: async (request) => requireOperator(callerIn(request)),
    handler: async ({ query }, reply) => {
      const { limit, before, state, ...filter } = query
      const chosen = { ...inMillis(filter), state: state === 'all' ? undefined : state }
      const { letters, total, next } = await deadLetters.list(chosen, { limit, before }, deadlineOf(reply))
      return { deadLetters: letters, total, next }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/dead-letters/:id',
    schema: {
      operationId: 'getDeadLetter',
      summary: 'One with what the refused record held',
      description,
      tags,
      params: z.object({ id: idSchema }),
      response: { 200: deadLetterContentSchema },
    },
    config: {
      errors: ['INPUT_INVALID', 'FORBIDDEN', 'DEAD_LETTER_UNKNOWN', 'BROKER_UNAVAILABLE', 'TIMEOUT'],
    },
    preValidation: async (request) => requireOperator(callerIn(request)),
    handler: ({ params }, reply) => deadLetters.get(params.id, deadlineOf(reply)),
  })

  app.route({
    method: 'POST',
    url: '/v1/dead-letters/replay',
    schema: {
      operationId: 'replayDeadLetters',
      summary: 'Have dead letters enter again',
      description: `Producers check them by the present rules and publish what is good now, marked as entering again: the database leaves out what it has, and streams leave them out. Asking twice never makes a second row. ${description}`,
      tags,
      body: replaySchema,
      response: { 200: replayResultsSchema },
    },
    config: {
      errors: ['INPUT_INVALID', 'BODY_NOT_JSON', 'FORBIDDEN', 'BROKER_UNAVAILABLE', 'TIMEOUT'],
    },
    preValidation: async (request) => requireOperator(callerIn(request)),
    handler: async ({ body }, reply) => {
      const { ids, all, limit, from, ...filter } = body
      const signal = deadlineOf(reply, REPLAY_MS)
      if (ids === undefined) {
        if (all === undefined) throw unclear('ids', 'is missing, and so is all')
        return deadLetters.reenterMatching({ ...inMillis(filter), state: 'open' }, { limit, from }, signal)
      }
      const beside = Object.entries({ all, from, ...filter }).find(([, value]) => value !== undefined)
      if (beside) throw unclear(beside[0], 'goes with all, not with ids')
      return { results: await deadLetters.reenter(ids, signal), next: null }
    },
  })
}

/** Filters as they come, with the time in milliseconds. */
function inMillis<F extends { readonly since?: number | undefined }>({ since, ...filter }: F) {
  return { ...filter, since: since === undefined ? undefined : since / 1000 }
}

function unclear(field: string, message: string): TapelineError {
  const remedy = 'Give either ids, or all with topic, code and since.'
  const fields: FieldError[] = [{ field, value: null, message, remedy }]
  return new TapelineError('INPUT_INVALID', `${field} ${message}`, { fields })
}
