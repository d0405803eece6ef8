import { readRanges } from '../../control/read-range.ts'
import { decodeEvent } from '../../domain/event-codec.ts'
import { type Channel, marketKey } from '../../domain/events.ts'
import { tickOf } from '../../domain/fixed-markers.ts'
import { admit, emptyMemory, isOfFormerOwner } from '../../domain/reader-rules.ts'
import { toTapelineError } from '../../errors.ts'
import type { ProducerParts } from './parts.ts'
import type { Shard } from './shard.ts'
import type { PublishedRecord, Tick } from './tail.ts'

/** How far before a range the log is read to learn the epochs that count there. */
const EPOCH_SLACK = 1_000

/** Fixed records that are gone for good: `to` is the first one after them. */
interface Hole {
  readonly from: number
  readonly to: number
  readonly why: string
}

/** The records of a range of a fixed partition that streams may want, with ticks, and what is missing among them. */
export async function readPublished(
  { broker, topics, log }: ProducerParts,
  shard: Shard,
  channel: Channel,
  from: number,
  end: number,
  signal: AbortSignal,
): Promise<{ readonly records: (PublishedRecord | Tick)[]; readonly holes: readonly Hole[] }> {
  const { k } = shard
  const topic = topics[channel]
  const memory = { ...emptyMemory(), epochs: { [k]: shard.epochAt(channel, from) } }
  const found: (PublishedRecord | Tick)[] = []
  const holes: Hole[] = []
  await readRanges(
    broker,
    [{ topic, partition: k, offset: Math.max(0, from - EPOCH_SLACK), end }],
    ({ records }) => {
      for (const { headers, offset, value } of records) {
        const tick = isOfFormerOwner(memory, headers) ? undefined : tickOf({ headers, value })
        if (tick !== undefined && offset >= from) found.push({ offset, tick })
        if (!admit(memory, headers) || value === null || offset < from || headers.reentering) continue
        try {
          const event = decodeEvent(channel, value, headers.v)
          found.push({ offset, market: marketKey(event), event, value })
        } catch (error) {
          log.warn({ topic, offset, code: toTapelineError(error).code }, 'a record cannot be derived')
        }
      }
    },
    signal,
    (_topic, _partition, to) => {
      holes.push({ from, to, why: 'retention removed them before they were derived' })
    },
    ({ offset, nextOffset: to, reason }) => {
      holes.push({ from: offset, to, why: `they cannot be read: ${reason}` })
    },
  )
  return { records: found, holes }
}
