import { z } from 'zod'
import { type FieldError, TapelineError } from '../errors.ts'
import { CHANNELS, type Channel } from './events.ts'
import { issueWords } from './issue-words.ts'
import { exchangeSchema, globSchema } from './market-names.ts'
import { parseDuration } from './time.ts'

/** What an application asks for, in canonical form: lists sorted and without repeats, `*` for everything. */
export interface StreamSpec {
  readonly channel: Channel
  /** Symbols or globs, such as `BTC-*`. */
  readonly symbols: readonly string[]
  /** Exchanges; empty means all. */
  readonly exchanges: readonly string[]
}

/** A request for a stream: its spec and how long its lease lives without a reader. */
export interface StreamRequest {
  readonly spec: StreamSpec
  /** Milliseconds; 0 means until DELETE. */
  readonly ttlMs: number
}

const DEFAULT_TTL_MS = 3_600_000
const SHORTEST_TTL_MS = 5_000
const MOST_SYMBOLS = 500
const MOST_EXCHANGES = 100

/** The fields that a later version will take, so that the message can say so. */
const PLANNED = ['where', 'fields', 'every', 'interval', 'from']

/** The body of `POST /v1/streams`, the spec of a WebSocket subscribe and an entry of `streams:` in the configuration. */
export const streamRequestSchema = z.strictObject({
  channel: z.enum(CHANNELS).describe('What kind of events.'),
  symbols: z
    .array(globSchema)
    .min(1)
    .max(MOST_SYMBOLS)
    .describe('Symbols or globs, BASE-QUOTE in any case: BTC-USD, BTC-*, *.'),
  exchanges: z
    .array(exchangeSchema)
    .max(MOST_EXCHANGES)
    .optional()
    .describe('Exchanges; left out means all.'),
  ttl: z
    .union([z.number(), z.string()])
    .optional()
    .describe('How long the stream lives without a reader: seconds, or text such as 30m. 0: until DELETE.'),
})

const REMEDIES: Record<string, string> = {
  channel: `Use one of ${CHANNELS.join(', ')}.`,
  symbols: `Give 1 to ${MOST_SYMBOLS} symbols such as BTC-USD, or globs such as BTC-*.`,
  exchanges: `Give up to ${MOST_EXCHANGES} names such as coinbase, or leave it out for all.`,
  ttl: 'Use seconds or text such as 30s, 10m, 1h: 0 (until DELETE), or at least 5s.',
}

/**
 * Reads a request for a stream and brings it into canonical form.
 * Raises INPUT_INVALID with one entry for each offending field.
 */
export function parseStreamRequest(input: unknown): StreamRequest {
  const parsed = streamRequestSchema.safeParse(input, { error: issueWords })
  if (!parsed.success)
    throw invalidRequest(parsed.error.issues.flatMap((issue) => describeIssue(issue, input)))
  const { channel, symbols, exchanges = [], ttl } = parsed.data
  const ttlMs = ttl === undefined ? DEFAULT_TTL_MS : parseDuration(ttl)
  if (ttlMs === undefined || (ttlMs !== 0 && ttlMs < SHORTEST_TTL_MS)) {
    throw invalidRequest([fieldError('ttl', ttl, 'is not an acceptable time to live')])
  }
  return {
    spec: {
      channel,
      symbols: canonicalSymbols(symbols),
      exchanges: [...new Set(exchanges)].sort(),
    },
    ttlMs,
  }
}

/** The text whose equality means that two specs ask for the same. */
export function specKey(spec: StreamSpec): string {
  return JSON.stringify([spec.channel, spec.symbols, spec.exchanges])
}

function canonicalSymbols(symbols: readonly string[]): string[] {
  const unique = [...new Set(symbols)].sort()
  return unique.includes('*') ? ['*'] : unique
}

function invalidRequest(fields: readonly FieldError[]): TapelineError {
  const names = fields.map((field) => field.field).join(', ')
  return new TapelineError('INPUT_INVALID', `the request for a stream is not acceptable: ${names}`, {
    fields,
  })
}

function describeIssue(issue: z.core.$ZodIssue, input: unknown): FieldError[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => unknownField(key, (input as Record<string, unknown>)[key]))
  }
  const field = issue.path.join('.')
  const value = issue.path.reduce<unknown>(
    (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
    input,
  )
  return [fieldError(field || '(body)', value, value === undefined ? 'is missing' : issue.message)]
}

function unknownField(field: string, value: unknown): FieldError {
  if (PLANNED.includes(field)) {
    return {
      field,
      value,
      message: 'is not supported yet',
      remedy: 'Leave it out and filter in the application.',
    }
  }
  return {
    field,
    value,
    message: 'is not a known field',
    remedy: 'Leave it out; known: channel, symbols, exchanges, ttl.',
  }
}

function fieldError(field: string, value: unknown, message: string): FieldError {
  const top = field.split('.')[0] ?? ''
  const remedy = REMEDIES[top] ?? 'Send an object such as {"channel":"trade","symbols":["BTC-*"]}.'
  return { field, value: value === undefined ? null : value, message, remedy }
}
