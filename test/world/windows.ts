import { compileSpec } from '../../src/domain/compiled-spec.ts'
import { decodeEvent } from '../../src/domain/event-codec.ts'
import { tickOf } from '../../src/domain/fixed-markers.ts'
import { OpenWindows } from '../../src/domain/open-windows.ts'
import { admit, emptyMemory, isOfFormerOwner } from '../../src/domain/reader-rules.ts'
import { matchesMarket } from '../../src/domain/routing.ts'
import type { MemoryPartition } from './memory-log.ts'
import type { RegisteredStream } from './registered.ts'

/**
 * What the windows of a stream give of a fixed partition (R21): of all that counts there, from the stream's start on, and of its ticks. Each with the place
 * that it must have.
 */
export function windowed(
  { spec, start, since }: RegisteredStream,
  partition: MemoryPartition,
): { readonly cause: number; readonly n: number; readonly text: string }[] {
  const { windows: rule, encode } = compileSpec(spec, since)
  if (rule === undefined) throw new Error(`no windows: ${JSON.stringify(spec)}`)
  const windows = new OpenWindows(rule)
  const memory = emptyMemory()
  return partition.archive.flatMap((record) => {
    const { headers, value, offset } = record
    const tick = isOfFormerOwner(memory, headers) ? undefined : tickOf(record)
    const isCounted = admit(memory, headers) && value !== null && headers.reentering !== true
    if (offset < (start[partition.number] ?? 0)) return []
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
