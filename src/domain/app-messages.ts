import { z } from 'zod'
import { CHANNELS } from './events.ts'

/** What an application is told about its streams; the description of the API follows from these schemas too. */

const stream = z.string().describe('Id of the stream.')
const cursor = z.string().describe('The place after what came so far.')

/** What of a stream no producer gives at present. */
export const streamWarningsSchema = z
  .array(
    z.object({
      field: z.enum(['channel', 'exchanges', 'symbols', 'from']),
      value: z.string().describe('What was asked for.'),
      message: z.string().describe('What is unknown about it.'),
      near: z
        .array(z.string())
        .readonly()
        .describe('What is given at present and looks like it; of `from` the time since when all is kept.'),
    }),
  )
  .readonly()

const fieldErrorSchema = z.object({
  field: z.string(),
  value: z.unknown(),
  message: z.string(),
  remedy: z.string(),
  position: z.number().int().exactOptional().describe('The character in an expression, from 1.'),
})

/** Messages other than `data`, each by its `op`. */
export const APP_MESSAGES = {
  subscribed: z.object({
    op: z.literal('subscribed'),
    stream,
    topic: z.string(),
    cursor,
    channel: z
      .enum(CHANNELS)
      .exactOptional()
      .describe(
        'Of a stream that has moved: the kind of the events that follow. It comes once more where the stream goes on in its new topic.',
      ),
    warnings: streamWarningsSchema
      .exactOptional()
      .describe(
        'What of the stream no producer gives at present, or its topics do not keep any more; left out where all is given.',
      ),
  }),
  reset: z.object({
    op: z.literal('reset'),
    stream,
    reason: z.string(),
    cursor: z.string().describe('What follows begins here.'),
  }),
  end: z.object({ op: z.literal('end'), stream, reason: z.string() }),
  pong: z.object({ op: z.literal('pong') }),
  error: z.object({
    op: z.literal('error'),
    code: z.string().describe('Stable: programs may depend on it.'),
    message: z.string(),
    stream: stream.exactOptional(),
    remedy: z.string().exactOptional().describe('What the application can do.'),
    errors: z
      .array(fieldErrorSchema)
      .readonly()
      .exactOptional()
      .describe('Offending fields, where the message of the application was not acceptable.'),
  }),
} as const

/** A message for an application about one stream, in the order in which it must arrive. */
export type AppMessage = {
  [Op in keyof typeof APP_MESSAGES]: Readonly<z.output<(typeof APP_MESSAGES)[Op]>>
}[keyof typeof APP_MESSAGES]

/** Events of a stream and the place after them. They are sent as bytes that were encoded once (R12). */
export function dataMessageSchema<Event extends z.ZodType>(event: Event) {
  const skipped = z
    .int()
    .positive()
    .exactOptional()
    .describe('How many more were left out, for who chose the latest only.')
  return z.object({ op: z.literal('data'), stream, cursor, skipped, events: z.array(event).min(1) })
}

/** What is posted to the receiver of a webhook. */
export function webhookMessages<Event extends z.ZodType>(event: Event) {
  return {
    data: dataMessageSchema(event).omit({ cursor: true, skipped: true }),
    reset: APP_MESSAGES.reset.omit({ cursor: true }),
    end: APP_MESSAGES.end,
  } as const
}
