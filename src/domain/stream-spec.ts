import { z } from 'zod'
import { type FieldError, TapelineError } from '../errors.ts'
import { EVENT_FIELDS } from './event-fields.ts'
import { CHANNELS, type Channel } from './events.ts'
import { issueWords } from './issue-words.ts'
import { exchangeSchema, globSchema } from './market-names.ts'
import { MOMENT_FORMS, parseMoment } from './moment.ts'
import {
  canonicalWindows,
  isKnownWindow,
  WINDOW_REMEDIES,
  type WindowSpec,
  windowFields,
} from './stream-windows.ts'
import { parseDuration } from './time.ts'
import { MOST_WHERE_CHARACTERS, parseWhere } from './where.ts'

/** What an application asks for, in canonical form: lists sorted and without repeats, `*` for everything. */
export interface StreamSpec extends WindowSpec {
  /** The channel of the fixed topic that it is derived from. */
  readonly channel: Channel
  /** Symbols or globs, such as `BTC-*`. */
  readonly symbols: readonly string[]
  /** Exchanges; empty means all. */
  readonly exchanges: readonly string[]
  /** Only events that this filter takes, in its canonical form; left out means all. */
  readonly where?: string
  /** Only these fields of an event, in the order of the data contract; left out means all. */
  readonly fields?: readonly string[]
}

/** A request for a stream: its spec and how long its lease lives without a reader. */
export interface StreamRequest {
  readonly spec: StreamSpec
  /** Milliseconds; 0 means until DELETE. */
  readonly ttlMs: number
  /** Where it begins, if not with what comes next. */
  readonly from?: StreamFrom
}

/** The beginning of a stream in the past: what was published at a time (milliseconds since the epoch) or later, or all that there is. */
export type StreamFrom = 'earliest' | number

const DEFAULT_TTL_MS = 3_600_000
const SHORTEST_TTL_MS = 5_000
const MOST_SYMBOLS = 500
const MOST_EXCHANGES = 100
const MOST_FIELDS = 32

/** The fields that every event of a stream has, whatever was asked for. */
const ALWAYS = ['exchange', 'symbol', 'ts']

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
  where: z
    .string()
    .optional()
    .describe('Only events for which this expression of CEL is true: size >= 0.5 && side == "buy".'),
  fields: z
    .array(z.string())
    .min(1)
    .max(MOST_FIELDS)
    .optional()
    .describe('Only these fields of an event; exchange, symbol and ts always come. Left out means all.'),
  ...windowFields,
  from: z
    .union([z.number(), z.string()])
    .optional()
    .describe(
      'Where the stream begins: a time, how long ago (-10m), earliest, or live (left out means live). As far back as the fixed topics keep.',
    ),
  ttl: z
    .union([z.number(), z.string()])
    .optional()
    .describe('How long the stream lives without a reader: seconds, or text such as 30m. 0: until DELETE.'),
})

const REMEDIES: Record<string, string> = {
  channel: `Use one of ${CHANNELS.join(', ')}.`,
  symbols: `Give 1 to ${MOST_SYMBOLS} symbols such as BTC-USD, or globs such as BTC-*.`,
  exchanges: `Give up to ${MOST_EXCHANGES} names such as coinbase, or leave it out for all.`,
  where: `Write it as size >= 0.5 && side == "buy", in up to ${MOST_WHERE_CHARACTERS} characters.`,
  fields: 'Give a list of fields of the channel, or leave it out for all.',
  ...WINDOW_REMEDIES,
  from: `Give ${MOMENT_FORMS}, earliest or live.`,
  ttl: 'Use seconds or text such as 30s, 10m, 1h: 0 (until DELETE), or at least 5s.',
}

/**
 * Reads a request for a stream and brings it into canonical form. `nowMillis` is what "10 minutes ago" counts from.
 * Raises INPUT_INVALID with one entry for each offending field.
 */
export function parseStreamRequest(input: unknown, nowMillis: number): StreamRequest {
  const parsed = streamRequestSchema.safeParse(input, { error: issueWords })
  if (!parsed.success)
    throw invalidRequest(parsed.error.issues.flatMap((issue) => describeIssue(issue, input)))
  const { symbols, exchanges = [], where, fields, from, ttl } = parsed.data
  const ttlMs = ttl === undefined ? DEFAULT_TTL_MS : parseDuration(ttl)
  const faults: FieldError[] = []
  if (ttlMs === undefined || (ttlMs !== 0 && ttlMs < SHORTEST_TTL_MS))
    faults.push(fieldError('ttl', ttl, 'is not an acceptable time to live'))
  const { channel, windows } = canonicalWindows(parsed.data, (field, value, message) =>
    faults.push(fieldError(field, value, message)),
  )
  if (where !== undefined && channel === 'book' && windows.depth === undefined)
    faults.push(fieldError('where', where, 'is not for the changes of books: ask for their levels'))
  const spec: StreamSpec = {
    channel,
    symbols: canonicalSymbols(symbols),
    exchanges: [...new Set(exchanges)].sort(),
    ...(where !== undefined && canonicalWhere(channel, where, faults)),
    ...(fields !== undefined && canonicalFields(outputChannel({ channel, ...windows }), fields, faults)),
    ...windows,
  }
  const beginning = from === undefined ? 'live' : parseFrom(String(from), nowMillis)
  if (beginning === undefined) faults.push(fieldError('from', from, 'is no beginning of a stream'))
  if (ttlMs === undefined || beginning === undefined || faults.length > 0) throw invalidRequest(faults)
  return { spec, ttlMs, ...(beginning !== 'live' && { from: beginning }) }
}

/** The body of `PATCH /v1/streams/{id}`: what is given takes the place of what there is, and null removes it. */
export const streamChangeSchema = z.strictObject({
  channel: streamRequestSchema.shape.channel
    .optional()
    .describe('Another channel: of the former request only symbols, exchanges and ttl stay then.'),
  symbols: streamRequestSchema.shape.symbols.optional(),
  exchanges: streamRequestSchema.shape.exchanges.nullable(),
  where: streamRequestSchema.shape.where.nullable(),
  fields: streamRequestSchema.shape.fields.nullable(),
  every: windowFields.every.nullable(),
  interval: windowFields.interval.nullable(),
  lateness: windowFields.lateness.nullable(),
  empty: windowFields.empty.nullable(),
  depth: windowFields.depth.nullable(),
  ttl: streamRequestSchema.shape.ttl.nullable(),
})

/**
 * Reads a change of a stream, and gives the whole of what is asked for. Raises INPUT_INVALID with one entry for each offending field.
 */
export function parseStreamChange(
  input: unknown,
  { spec, ttlMs }: Pick<StreamRequest, 'spec' | 'ttlMs'>,
  nowMillis: number,
): Omit<StreamRequest, 'from'> {
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    throw invalidRequest([fieldError('(body)', input, 'is not an object')])
  const { channel, from } = input as Record<string, unknown>
  if (from !== undefined) {
    const remedy = 'Leave it out: a stream moves where it is, or ask for a new stream.'
    throw invalidRequest([
      { field: 'from', value: from, message: 'is not for a stream that there is', remedy },
    ])
  }
  const { symbols, exchanges } = spec
  const isOther = channel !== undefined && channel !== outputChannel(spec)
  const former = isOther ? { symbols, exchanges } : spec
  const wanted = Object.entries({ ...former, ttl: ttlMs / 1000, ...input }).filter(
    ([, value]) => value !== null,
  )
  const { spec: changed, ttlMs: ttl } = parseStreamRequest(Object.fromEntries(wanted), nowMillis)
  return { spec: changed, ttlMs: ttl }
}

function parseFrom(text: string, nowMillis: number): StreamFrom | 'live' | undefined {
  if (text === 'live' || text === 'earliest') return text
  // Both -10m and 10m are ten minutes ago; times that lie ahead are none.
  const micros = parseMoment(text.replace(/^-/, ''), 'first', nowMillis)
  return micros === undefined || micros > nowMillis * 1000 ? undefined : Math.floor(micros / 1000)
}

function canonicalWhere(channel: Channel, where: string, faults: FieldError[]): Pick<StreamSpec, 'where'> {
  const parsed = parseWhere(channel, where)
  if ('text' in parsed) return { where: parsed.text }
  const { message, position, remedy } = parsed
  faults.push({
    field: 'where',
    value: where,
    message: `at character ${position}: ${message}`,
    remedy,
    position,
  })
  return {}
}

/** The fields in the order of the data contract; those of all are none. */
function canonicalFields(
  channel: Channel,
  fields: readonly string[],
  faults: FieldError[],
): Pick<StreamSpec, 'fields'> {
  const known = Object.keys(EVENT_FIELDS[channel])
  for (const [i, field] of fields.entries()) {
    if (known.includes(field)) continue
    const message = `is not a field of the channel ${channel}`
    faults.push({ field: `fields.${i}`, value: field, message, remedy: `Use ${known.join(', ')}.` })
  }
  const wanted = known.filter((field) => fields.includes(field) || ALWAYS.includes(field))
  return wanted.length === known.length ? {} : { fields: wanted }
}

/** The channel of a stream's events: candles that it makes of trades, or those of its fixed topic. */
export function outputChannel({ channel, interval }: Pick<StreamSpec, 'channel' | 'interval'>): Channel {
  return interval === undefined ? channel : 'candle'
}

/** Whether this version can do all that a canonical spec asks for, which another version may have written. */
export function isKnownSpec(spec: StreamSpec): boolean {
  const { channel, where, fields = [] } = spec
  const isFilter = where === undefined || 'text' in parseWhere(channel, where)
  const known = EVENT_FIELDS[outputChannel(spec)]
  return isFilter && fields.every((field) => Object.hasOwn(known, field)) && isKnownWindow(spec)
}

/** The text whose equality means that two specs ask for the same. */
export function specKey(spec: StreamSpec): string {
  const { channel, symbols, exchanges, where = null, fields = null } = spec
  const { every = null, interval = null, lateness = null, empty = false, depth } = spec
  const windows = [every, interval, lateness, empty, ...(depth === undefined ? [] : [depth])]
  return JSON.stringify([channel, symbols, exchanges, where, fields, ...windows])
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
  return {
    field,
    value,
    message: 'is not a known field',
    remedy: `Leave it out; known: ${Object.keys(streamRequestSchema.shape).join(', ')}.`,
  }
}

function fieldError(field: string, value: unknown, message: string): FieldError {
  const top = field.split('.')[0] ?? ''
  const remedy = REMEDIES[top] ?? 'Send an object such as {"channel":"trade","symbols":["BTC-*"]}.'
  return { field, value: value === undefined ? null : value, message, remedy }
}
