import { compileSpec } from '../src/domain/compiled-spec.ts'
import { decodeEvent } from '../src/domain/event-codec.ts'
import { tickOf } from '../src/domain/fixed-markers.ts'
import { OpenWindows } from '../src/domain/open-windows.ts'
import { admit, emptyMemory, isOfFormerOwner } from '../src/domain/reader-rules.ts'
import { matchesMarket } from '../src/domain/routing.ts'
import type { StreamSpec } from '../src/domain/stream-spec.ts'
import type { StoredRecord } from '../src/ports/broker.ts'

interface Stream {
  readonly spec: StreamSpec
  /** Nothing before this offset is its own. */
  readonly start: number
  /** Of candles: periods that begin before have none. */
  readonly since?: number
}

/**
 * What the windows of a stream give of a fixed partition (R21): of all that counts there, from the stream's start on, and of its ticks. Each with the place
 * that it must have.
 */
export function windowsOfLog(
  { spec, start, since }: Stream,
  records: readonly StoredRecord[],
): { readonly cause: number; readonly n: number; readonly text: string }[] {
  const { windows: rule, encode } = compileSpec(spec, since)
  if (rule === undefined) throw new Error(`no windows: ${JSON.stringify(spec)}`)
  const windows = new OpenWindows(rule)
  const memory = emptyMemory()
  return records.flatMap((record) => {
    const { headers, value, offset } = record
    const tick = isOfFormerOwner(memory, headers) ? undefined : tickOf(record)
    const isCounted = admit(memory, headers) && value !== null && headers.reentering !== true
    if (offset < start) return []
    const step = windows.begin()
    const take = () => {
      if (tick !== undefined) return step.tick(tick)
      if (!isCounted) return []
      const event = decodeEvent(spec.channel, value, headers.v)
      const { exchange, symbol = '' } = event
      return matchesMarket(spec, spec.channel, exchange, symbol) ? step.take(event) : []
    }
    const closed = take()
    step.commit()
    return closed.map((event, n) => ({ cause: offset, n, text: Buffer.from(encode(event)).toString() }))
  })
}
