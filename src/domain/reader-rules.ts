import type { RecordHeaders } from './record.ts'

/** A place in a fixed partition: the offset of a record, and the ordinal among those that it causes. */
export type Place = readonly [offset: number, n: number]

/**
 * What a reader of a topic remembers, so that it counts each record once (R4, R8): the highest epoch seen of each shard and
 * the last position of each shard. It belongs to the reader's position: stored with the offset in the database, the
 * checkpoint and the cursor.
 */
export interface ReaderMemory {
  readonly epochs: Record<number, number>
  /**
   * Per fixed topic and partition: offset of the last record seen of it, and the ordinal within that. Only readers of dynamic topics
   * have it.
   */
  readonly positions: Record<string, Record<number, Place>>
}

export function emptyMemory(): ReaderMemory {
  return { epochs: {}, positions: {} }
}

export function copyMemory(memory: ReaderMemory): ReaderMemory {
  const positions: ReaderMemory['positions'] = {}
  for (const [topic, partitions] of Object.entries(memory.positions)) positions[topic] = { ...partitions }
  return { epochs: { ...memory.epochs }, positions }
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
