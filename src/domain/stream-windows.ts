import { z } from 'zod'
import { type Channel, STREAM_INTERVALS, type StreamInterval } from './events.ts'
import { formatDuration, parseDuration } from './time.ts'

/** How a stream gathers events by periods, in canonical form: durations are the shortest texts. */
export interface WindowSpec {
  /** The latest event of each market in each period of this length. */
  readonly every?: string
  /** Candles of trades. */
  readonly interval?: StreamInterval
  /** How long a window waits after its period for events that are late. */
  readonly lateness?: string
  /** Periods without trades have candles too. */
  readonly empty?: true
  /** So many levels of each side of a book. */
  readonly depth?: number
}

const duration = z.union([z.number(), z.string()]).optional()

/** The fields of a request for a stream that ask for windows. */
export const windowFields = {
  every: duration.describe(
    'Only the latest event of each market in each period of this length: 250ms, 1s. For trades, quotes and candles, and with depth for books.',
  ),
  interval: z
    .enum(STREAM_INTERVALS)
    .optional()
    .describe(`Candles of this length, made of trades: ${STREAM_INTERVALS.join(', ')}.`),
  lateness: duration.describe(
    'How long a window waits for late events after its period; left out means 250ms with every, 2s with interval.',
  ),
  empty: z.boolean().optional().describe('With interval: periods without trades have candles too.'),
  depth: z
    .number()
    .optional()
    .describe('Of books, with every: the best levels of each side, so many, at the end of each period.'),
}

const SHORTEST_EVERY_MS = 50
const LONGEST_EVERY_MS = 86_400_000
const LONGEST_LATENESS_MS = 600_000
/** So that the streams of several exchanges, whose events come with different delays, miss nothing at the end of a period. */
const EVERY_LATENESS = '250ms'
const INTERVAL_LATENESS = '2s'

const MOST_LEVELS = 1_000

const CONFLATED: readonly Channel[] = ['trade', 'quote', 'candle']

/** What to do about each field that is not acceptable. */
export const WINDOW_REMEDIES: Record<string, string> = {
  every:
    'Use seconds or text such as 250ms, 1s, 5m: 50ms to 1d, for trades, quotes or candles, without interval; for books with depth.',
  interval: `Use one of ${STREAM_INTERVALS.join(', ')}, with the channel trade or candle.`,
  lateness: 'Use seconds or text such as 0s, 500ms, 2s, up to 10m, beside every or interval.',
  empty: 'Use true or false, beside interval.',
  depth: 'Use a whole number from 1 to 1000, with the channel book and every.',
}

interface WindowRequest {
  readonly channel: Channel
  readonly every?: string | number | undefined
  readonly interval?: StreamInterval | undefined
  readonly lateness?: string | number | undefined
  readonly empty?: boolean | undefined
  readonly depth?: number | undefined
}

/**
 * Brings what a request asks of windows into canonical form, and gives the channel that the stream is derived from: candles with an interval are
 * made of trades. Calls `refuse` for each field that is not acceptable.
 */
export function canonicalWindows(
  { channel, every, interval, lateness, empty, depth }: WindowRequest,
  refuse: (field: string, value: unknown, message: string) => void,
): { readonly channel: Channel; readonly windows: WindowSpec } {
  const length = every === undefined ? undefined : parseDuration(every)
  if (every !== undefined) {
    if (interval !== undefined) refuse('every', every, 'does not go together with interval')
    // Changes of a book are never conflated (R30): its levels are.
    const isLevels = channel === 'book' && depth !== undefined
    if (!CONFLATED.includes(channel) && !isLevels)
      refuse('every', every, `is not for the channel ${channel}${channel === 'book' ? ' without depth' : ''}`)
    if (length === undefined || length < SHORTEST_EVERY_MS || length > LONGEST_EVERY_MS)
      refuse('every', every, 'is not an acceptable length of a period')
  }
  if (depth !== undefined) {
    if (channel !== 'book') refuse('depth', depth, `is not for the channel ${channel}`)
    else if (every === undefined) refuse('depth', depth, 'is only for streams with every')
    if (!Number.isInteger(depth) || depth < 1 || depth > MOST_LEVELS)
      refuse('depth', depth, 'is not an acceptable number of levels')
  }
  const isOfTrades = channel === 'trade' || channel === 'candle'
  if (interval !== undefined && !isOfTrades) refuse('interval', interval, `is not for the channel ${channel}`)
  const isWindowed = every !== undefined || interval !== undefined
  const late = lateness === undefined ? undefined : parseDuration(lateness)
  if (lateness !== undefined) {
    if (!isWindowed) refuse('lateness', lateness, 'is only for streams with every or interval')
    if (late === undefined || late > LONGEST_LATENESS_MS)
      refuse('lateness', lateness, 'is not an acceptable duration')
  }
  if (empty !== undefined && interval === undefined)
    refuse('empty', empty, 'is only for streams with interval')
  if (!isWindowed) return { channel, windows: {} }
  const usual = interval === undefined ? EVERY_LATENESS : INTERVAL_LATENESS
  return {
    channel: interval === undefined ? channel : 'trade',
    windows: {
      ...(interval === undefined ? { every: formatDuration(length ?? 0) } : { interval }),
      lateness: late === undefined ? usual : formatDuration(late),
      ...(empty === true && { empty }),
      ...(depth !== undefined && { depth }),
    },
  }
}

/** The candles that a stream begins with: what is read from `from` on (milliseconds) gives no whole candle of a period before `since` (microseconds). */
export interface FirstCandle {
  readonly from: number
  readonly since: number
}

/**
 * Where a stream of candles begins, so that its first candle is whole: with the period of now, or the first one from a time on. Undefined for
 * other streams.
 */
export function firstCandle(
  { interval }: WindowSpec,
  from: number | undefined,
  nowMillis: number,
): FirstCandle | undefined {
  const length = interval === undefined ? undefined : parseDuration(interval)
  if (length === undefined) return undefined
  if (from !== undefined) return { from, since: Math.ceil(from / length) * length * 1_000 }
  const begun = Math.floor(nowMillis / length) * length
  return { from: begun, since: begun * 1_000 }
}

/** Whether this version can do what a canonical spec asks of windows. */
export function isKnownWindow({ every, lateness }: WindowSpec): boolean {
  return [every, lateness].every((text) => text === undefined || parseDuration(text) !== undefined)
}
