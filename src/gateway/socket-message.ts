import { z } from 'zod'
import { parseStreamRequest, type StreamRequest, streamRequestSchema } from '../domain/stream-spec.ts'
import { type FieldError, TapelineError, toTapelineError } from '../errors.ts'
import { SLOW_CHOICES, type SlowChoice } from '../ports/delivery.ts'
import { LARGEST_MESSAGE } from './server.ts'
import { parseStrictJson } from './strict-json.ts'
import { parseInput } from './validation.ts'

/** What an application asks for on its WebSocket. */
export type SocketMessage =
  /** Read a stream it has, from where a cursor stands or from what comes next. */
  | {
      readonly kind: 'read'
      readonly stream: string
      readonly cursor?: string
      readonly slow?: SlowChoice
    }
  /** Make a stream and read it. */
  | { readonly kind: 'request'; readonly request: StreamRequest; readonly slow?: SlowChoice }
  | { readonly kind: 'leave'; readonly stream: string }
  /** Tell that the platform is there: a browser's script sees no pings. */
  | { readonly kind: 'ping' }

const streamId = z.string().min(1).max(128)

const subscribeSchema = z.strictObject({
  op: z.literal('subscribe'),
  stream: streamId.optional().describe('Give the id of a stream, or leave it out and give spec.'),
  spec: z.unknown().optional().describe('Give what POST /v1/streams takes, or leave it out and give stream.'),
  cursor: z.string().min(1).optional().describe('Give a cursor of this stream unchanged, or leave it out.'),
  slow: z
    .enum(SLOW_CHOICES)
    .optional()
    .describe(
      'What becomes of a socket that takes less than comes: catch-up (left out means this), latest or disconnect.',
    ),
  ttl: z.union([z.number(), z.string()]).optional().describe('Goes with spec: seconds, or text such as 30m.'),
})

const unsubscribeSchema = z.strictObject({
  op: z.literal('unsubscribe'),
  stream: streamId.describe('Give the id of the stream.'),
})

const pingSchema = z.strictObject({ op: z.literal('ping') })

/** What an application may send, by its `op`; `spec` as `POST /v1/streams` takes it. */
export const SOCKET_MESSAGES = {
  subscribe: subscribeSchema.extend({
    spec: streamRequestSchema.optional().describe('Goes with neither stream nor cursor.'),
  }),
  unsubscribe: unsubscribeSchema,
  ping: pingSchema,
} as const

const opSchema = z.looseObject({ op: z.string() })

/** Reads a message. Raises SOCKET_MESSAGE_INVALID, BODY_TOO_LARGE, or INPUT_INVALID naming each offending field. */
export function parseSocketMessage(data: Buffer, isBinary: boolean): SocketMessage {
  if (isBinary) throw invalidMessage('binary messages are not taken: send text')
  if (data.length > LARGEST_MESSAGE) {
    throw new TapelineError(
      'BODY_TOO_LARGE',
      `a message of ${data.length} bytes is larger than ${LARGEST_MESSAGE}`,
    )
  }
  const message = opSchema.safeParse(parseJson(data))
  if (!message.success) throw invalidMessage('a message is an object with a text op')
  switch (message.data.op) {
    case 'subscribe':
      return subscription(parseInput(subscribeSchema, message.data))
    case 'unsubscribe':
      return { kind: 'leave', stream: parseInput(unsubscribeSchema, message.data).stream }
    case 'ping':
      parseInput(pingSchema, message.data)
      return { kind: 'ping' }
    default:
      throw invalidMessage('the op is not known')
  }
}

function parseJson(data: Buffer): unknown {
  try {
    return parseStrictJson(data)
  } catch (error) {
    const failure = toTapelineError(error)
    throw failure.code === 'BODY_NOT_JSON' ? invalidMessage(failure.message) : failure
  }
}

function subscription({ stream, spec, cursor, ttl, slow }: z.output<typeof subscribeSchema>): SocketMessage {
  if (stream === undefined && spec === undefined) {
    throw refused('stream', null, 'is missing, and so is spec', 'Give one of them.')
  }
  if (stream !== undefined) {
    if (spec !== undefined) throw refused('spec', spec, 'stands beside stream', 'Give one of them.')
    if (ttl !== undefined) throw refused('ttl', ttl, 'stands beside stream', 'Give it with spec.')
    return {
      kind: 'read',
      stream,
      ...(cursor !== undefined && { cursor }),
      ...(slow !== undefined && { slow }),
    }
  }
  if (cursor !== undefined) {
    throw refused('cursor', cursor, 'stands beside spec', 'To resume give the stream that subscribed named.')
  }
  return { kind: 'request', request: parseSpec(spec, ttl), ...(slow !== undefined && { slow }) }
}

/** The ttl of a message stands beside the spec, where POST has it within. */
function parseSpec(spec: unknown, ttl: number | string | undefined): StreamRequest {
  const isObject = typeof spec === 'object' && spec !== null && !Array.isArray(spec)
  try {
    return parseStreamRequest(isObject && ttl !== undefined ? { ...spec, ttl } : spec, Date.now())
  } catch (error) {
    const failure = toTapelineError(error)
    const fields = failure.fields.map((entry) => ({ ...entry, field: placeOf(entry.field, ttl) }))
    throw new TapelineError(failure.code, failure.message, { cause: error, fields })
  }
}

function placeOf(field: string, ttl: number | string | undefined): string {
  if (field === '(body)') return 'spec'
  return field === 'ttl' && ttl !== undefined ? field : `spec.${field}`
}

function invalidMessage(message: string): TapelineError {
  return new TapelineError('SOCKET_MESSAGE_INVALID', message)
}

function refused(field: string, value: unknown, message: string, remedy: string): TapelineError {
  const entry: FieldError = { field, value, message, remedy }
  return new TapelineError('INPUT_INVALID', `${field} ${message}`, { fields: [entry] })
}
