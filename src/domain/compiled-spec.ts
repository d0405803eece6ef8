import type { Channel, EventOf } from './events.ts'
import type { StreamSpec } from './stream-spec.ts'
import { parseWhere } from './where.ts'

/** What a stream makes of the events of its markets. */
export interface CompiledSpec {
  /** Whether the stream takes an event. */
  wants(event: EventOf[Channel]): boolean
  /** The value of the stream's record: of an event, and of its value in the fixed topic. */
  shape(event: EventOf[Channel], value: Uint8Array): Uint8Array
}

const encoder = new TextEncoder()

/** Makes functions of the filter and the fields of a canonical spec, once for all its events. */
export function compileSpec({ channel, where, fields }: StreamSpec): CompiledSpec {
  const filter = where === undefined ? undefined : parseWhere(channel, where)
  if (filter !== undefined && !('accepts' in filter))
    throw new TypeError(`a spec that was not parsed: ${where}: ${filter.message}`)
  const wanted = fields && [...fields]
  return {
    wants: filter?.accepts ?? (() => true),
    shape: wanted ? (event) => encoder.encode(JSON.stringify(event, wanted)) : (_event, value) => value,
  }
}
