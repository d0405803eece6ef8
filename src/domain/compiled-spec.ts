import { cutBook } from './book-levels.ts'
import { type Book, type Channel, type EventOf, STREAM_INTERVALS } from './events.ts'
import type { WindowRule } from './open-windows.ts'
import type { StreamSpec } from './stream-spec.ts'
import { parseDuration } from './time.ts'
import { parseWhere } from './where.ts'
import { candlesOfTrades, latestOfPeriod, levelsOfPeriod } from './window-rules.ts'

/** What a stream makes of the events of its markets. */
export interface CompiledSpec {
  /** Whether the stream takes an event. */
  wants(event: EventOf[Channel]): boolean
  /** Whether it gives what has become of events: of books the filter looks at whole ones, not at changes. */
  keeps(event: EventOf[Channel]): boolean
  /** The value of the stream's record: of an event, and of its value in the fixed topic. */
  shape(event: EventOf[Channel], value: Uint8Array): Uint8Array
  /** The value of the record of an event that stands in no fixed topic: one that a window has made. */
  encode(event: EventOf[Channel]): Uint8Array
  /** Gathers what the stream takes by periods; left out where each event is a record of its own. */
  readonly windows?: WindowRule
}

const encoder = new TextEncoder()

/**
 * Makes functions of the filter, the fields and the windows of a canonical spec, once for all its events. `since`: periods that begin before have no
 * candle, in microseconds.
 */
export function compileSpec(spec: StreamSpec, since = Number.NEGATIVE_INFINITY): CompiledSpec {
  const { channel, where, fields, depth } = spec
  const filter = where === undefined ? undefined : parseWhere(channel, where)
  if (filter !== undefined && !('accepts' in filter))
    throw new TypeError(`a spec that was not parsed: ${where}: ${filter.message}`)
  const wanted = fields && [...fields]
  const encode = (event: EventOf[Channel]): Uint8Array => encoder.encode(JSON.stringify(event, wanted))
  const windows = windowRule(spec, since)
  const accepts = filter?.accepts ?? (() => true)
  const cut = (event: EventOf[Channel]): Uint8Array => encode(cutBook(event as Book, depth ?? 0))
  return {
    wants: channel === 'book' ? () => true : accepts,
    keeps: channel === 'book' ? (event) => (event as Book).doubt !== undefined || accepts(event) : () => true,
    shape: depth !== undefined ? cut : wanted ? encode : (_event, value) => value,
    encode,
    ...(windows && { windows }),
  }
}

function windowRule(
  { every, interval, lateness = '0ms', empty, depth }: StreamSpec,
  since: number,
): WindowRule | undefined {
  const late = microsOf(lateness)
  if (every !== undefined && depth !== undefined) return levelsOfPeriod(depth, microsOf(every), late)
  if (every !== undefined) return latestOfPeriod(microsOf(every), late)
  const known = STREAM_INTERVALS.find((each) => each === interval)
  return known && candlesOfTrades(known, microsOf(known), late, empty === true, since)
}

function microsOf(duration: string): number {
  return (parseDuration(duration) ?? 0) * 1_000
}
