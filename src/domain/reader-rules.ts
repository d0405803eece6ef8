import type { RecordHeaders } from './record.ts'

/** A place in a fixed partition: the offset of a record, and the ordinal among those that it causes. */
export type Place = readonly [offset: number, n: number]

/**
 * What a reader of a topic remembers, so that it counts each record once (R4, R8): the highest epoch seen of each shard and
 * the last position of each shard. It belongs to the reader's position: stored with the offset in the database, the
 * checkpoint and the cursor.
 */
export interface ReaderMemory {
  epochs: Record<number, number>
  /**
   * Per fixed topic and partition: offset of the last record seen of it, and the ordinal within that. Only readers of dynamic topics
   * have it.
   */
  readonly positions: Record<string, Record<number, Place>>
  /** The highest event time of what is stored, in microseconds. Only fixed consumers have it, and the next ones. */
  latest?: number | undefined
  /** Events of up to this time may have been stored from an end that the log has lost since. */
  mayHaveTo?: number | undefined
  /** The highest epoch of an owner that was seen to write in the place of a lost end. What lay there is dealt with. */
  overwrittenBy?: number | undefined
}

export function emptyMemory(): ReaderMemory {
  return { epochs: {}, positions: {} }
}

export function copyMemory(memory: ReaderMemory): ReaderMemory {
  const positions: ReaderMemory['positions'] = {}
  for (const [topic, partitions] of Object.entries(memory.positions)) positions[topic] = { ...partitions }
  return { ...memory, epochs: { ...memory.epochs }, positions }
}

/** Whether a former owner wrote the record: another one has followed, and nothing of the former counts. */
export function isOfFormerOwner({ epochs }: ReaderMemory, { shard, epoch }: RecordHeaders): boolean {
  return shard !== undefined && epoch !== undefined && epoch < (epochs[shard] ?? -1)
}

/**
 * Takes a record into the memory, and gives whether the record counts. One of a lower epoch after a higher one does not count. Nor does one
 * whose position is not higher than the last of its fixed partition. A marker raises the epoch and never counts. A marker with a position
 * says that its fixed partition begins anew: the next record of the partition counts, whatever its position.
 */
export function admit(memory: ReaderMemory, headers: RecordHeaders): boolean {
  if (isOfFormerOwner(memory, headers)) return false
  const { shard, epoch, position } = headers
  if (shard !== undefined && epoch !== undefined) memory.epochs[shard] = epoch
  if (headers.kind === 'marker' && position !== undefined)
    delete memory.positions[position.topic]?.[position.partition]
  if (headers.kind !== 'event') return false
  if (position !== undefined) {
    const n = position.n ?? 0
    memory.positions[position.topic] ??= {}
    const partitions = memory.positions[position.topic] as ReaderMemory['positions'][string]
    const last = partitions[position.partition]
    const place = [position.offset, n] as const
    if (last !== undefined && !isLater(place, last)) return false
    partitions[position.partition] = place
  }
  return true
}

/** Whether a place in a fixed partition lies after another one. */
export function isLater([offset, n]: Place, [otherOffset, otherN]: Place): boolean {
  return offset > otherOffset || (offset === otherOffset && n > otherN)
}

/** Behind all records that one fixed record causes. */
const LAST_ORDINAL = Number.MAX_SAFE_INTEGER

/** The place of a reader that has all in front of an offset of a fixed partition. */
export function placeBefore(offset: number): Place {
  return [offset - 1, LAST_ORDINAL]
}

/** The positions of a reader that has all in front of these offsets of a fixed topic, by partition. */
export function positionsBefore(topic: string, offsets: readonly number[]): ReaderMemory['positions'] {
  const places = offsets.flatMap((offset, k) => (offset > 0 ? [[k, placeBefore(offset)] as const] : []))
  return places.length === 0 ? {} : { [topic]: Object.fromEntries(places) }
}

/** Raises the positions of a memory to these, where these are later. Gives the memory. */
export function raise(memory: ReaderMemory, positions: ReaderMemory['positions']): ReaderMemory {
  for (const [topic, partitions] of Object.entries(positions)) {
    memory.positions[topic] ??= {}
    const known = memory.positions[topic] as ReaderMemory['positions'][string]
    for (const [partition, place] of Object.entries(partitions)) {
      const last = known[Number(partition)]
      if (last === undefined || isLater(place, last)) known[Number(partition)] = place
    }
  }
  return memory
}

/** The positions that lie after those of a memory, or that it does not know; undefined where there are none. */
export function positionsAhead(
  positions: ReaderMemory['positions'],
  memory: ReaderMemory,
): ReaderMemory['positions'] | undefined {
  const ahead: ReaderMemory['positions'] = {}
  for (const [topic, partitions] of Object.entries(positions)) {
    for (const [partition, place] of Object.entries(partitions)) {
      const known = memory.positions[topic]?.[Number(partition)]
      if (known !== undefined && !isLater(place, known)) continue
      ahead[topic] = { ...ahead[topic], [Number(partition)]: place }
    }
  }
  return Object.keys(ahead).length === 0 ? undefined : ahead
}
