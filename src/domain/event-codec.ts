import { z } from 'zod'
import { TapelineError } from '../errors.ts'
import {
  BOOK_DOUBTS,
  type Channel,
  type EventOf,
  GAP_CAUSES,
  STATUS_STATES,
  STREAM_INTERVALS,
} from './events.ts'
import { INSTRUMENT_STATUSES, type ListedInstrument } from './instruments.ts'
import { issueWords } from './issue-words.ts'

/** The version of the JSON shape of events; it travels in the header `v`. */
export const EVENT_VERSION = 1

/** PostgreSQL's text takes any character but this one: a row with it would fail its whole transaction. */
const NUL = '\u0000'
const text = z.string().refine((value) => !value.includes(NUL), 'contains the character NUL')
const name = text.min(1).max(64)
/** What int4 holds. */
const MOST_TRADES = 2 ** 31 - 1
const micros = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER)
const amount = z.number().nonnegative()
const price = z.number()
const decimal = z
  .string()
  .max(96)
  .regex(/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/)
const level = z.tuple([price, amount])

/** What the values of records are: the events of each channel, and what exchanges list. */
export interface RecordOf extends EventOf {
  instrument: ListedInstrument
}

/** The events of each channel. */
export const EVENT_SCHEMAS = {
  trade: z.object({
    exchange: name,
    symbol: name,
    id: text.min(1).max(128),
    side: z.enum(['buy', 'sell', 'unknown']),
    price,
    size: amount,
    ts: micros,
    recvTs: micros,
    maybe: z.literal(true).optional(),
    priceText: decimal.optional(),
    sizeText: decimal.optional(),
  }),
  quote: z.object({
    exchange: name,
    symbol: name,
    bid: price.optional(),
    bidSize: amount.optional(),
    ask: price.optional(),
    askSize: amount.optional(),
    last: price.optional(),
    volume24h: amount.optional(),
    ts: micros,
    recvTs: micros,
  }),
  candle: z.object({
    exchange: name,
    symbol: name,
    interval: z.enum(STREAM_INTERVALS),
    open: price,
    high: price,
    low: price,
    close: price,
    volume: amount,
    trades: z.number().int().nonnegative().max(MOST_TRADES).optional(),
    ts: micros,
    closed: z.boolean(),
    origin: z.enum(['source', 'trades']),
  }),
  book: z.object({
    exchange: name,
    symbol: name,
    snapshot: z.boolean(),
    bids: z.array(level),
    asks: z.array(level),
    seq: z.number().int(),
    ts: micros,
    recvTs: micros,
    doubt: z.enum(BOOK_DOUBTS).optional(),
  }),
  status: z.object({
    source: name,
    exchange: text.max(64),
    state: z.enum(STATUS_STATES),
    symbol: name.optional(),
    from: micros.optional(),
    to: micros.optional(),
    detail: text.max(1024),
    ts: micros,
    cause: z.enum(GAP_CAUSES).optional(),
    lostFrom: micros.optional(),
  }),
} satisfies Record<Channel, z.ZodType>

const RECORD_SCHEMAS: Readonly<Record<keyof RecordOf, z.ZodType>> = {
  ...EVENT_SCHEMAS,
  instrument: z.object({
    exchange: name,
    symbol: name,
    name: text.min(1).max(128),
    base: name,
    quote: name,
    tick: text.max(64).optional(),
    lot: text.max(64).optional(),
    status: z.enum(INSTRUMENT_STATUSES),
    ts: micros,
  }),
}

/**
 * The fast path: the checks of the trade schema by hand. Nearly all records are trades, and zod costs about ten times as much a record. It says
 * yes only to what the schema accepts; a test compares the two.
 */
function isTrade(value: unknown): value is EventOf['trade'] {
  if (typeof value !== 'object' || value === null) return false
  const t = value as Record<string, unknown>
  return (
    isName(t['exchange'], 64) &&
    isName(t['symbol'], 64) &&
    isName(t['id'], 128) &&
    (t['side'] === 'buy' || t['side'] === 'sell' || t['side'] === 'unknown') &&
    Number.isFinite(t['price']) &&
    Number.isFinite(t['size']) &&
    (t['size'] as number) >= 0 &&
    isMicros(t['ts']) &&
    isMicros(t['recvTs']) &&
    (t['maybe'] === undefined || t['maybe'] === true) &&
    t['priceText'] === undefined &&
    t['sizeText'] === undefined
  )
}

function isName(value: unknown, max: number): boolean {
  return typeof value === 'string' && value.length > 0 && value.length <= max && !value.includes(NUL)
}

function isMicros(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** Checks the shape and values of one event. Raises EVENT_INVALID naming each offending field. */
export function checkEvent<C extends keyof RecordOf>(channel: C, value: unknown): RecordOf[C] {
  if (channel === 'trade' && isTrade(value)) return value as RecordOf[C]
  const result = RECORD_SCHEMAS[channel].safeParse(value, { error: issueWords })
  if (result.success) return result.data as RecordOf[C]
  const fields = result.error.issues.map((issue) => ({
    field: issue.path.join('.') || '(event)',
    value: issue.path.reduce<unknown>(
      (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
      value,
    ),
    message: issue.message,
    remedy: `See the ${channel} event in docs/events.md.`,
  }))
  const first = fields[0]
  throw new TapelineError('EVENT_INVALID', `${channel}.${first?.field}: ${first?.message}`, { fields })
}

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true })

/** An event as the bytes of a record's value. */
export function encodeEvent(event: RecordOf[keyof RecordOf]): Uint8Array {
  return encoder.encode(JSON.stringify(event))
}

/**
 * The event in a record's value, checked.
 * Raises EVENT_UNDECODABLE (not JSON, or another schema version) or EVENT_INVALID.
 */
export function decodeEvent<C extends keyof RecordOf>(
  channel: C,
  value: Uint8Array,
  version: number,
): RecordOf[C] {
  if (version !== EVENT_VERSION) {
    throw new TapelineError('EVENT_UNDECODABLE', `schema version ${version} is not ${EVENT_VERSION}`)
  }
  let parsed: unknown
  try {
    parsed = JSON.parse(decoder.decode(value))
  } catch (error) {
    throw new TapelineError('EVENT_UNDECODABLE', 'the value is not JSON', { cause: error })
  }
  return checkEvent(channel, parsed)
}
