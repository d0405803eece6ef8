import type { RecordHeaders } from './record.ts'

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
  readonly positions: Record<string, Record<number, readonly [offset: number, n: number]>>
}

export function emptyMemory(): ReaderMemory {
  return { epochs: {}, positions: {} }
}

export function copyMemory(memory: ReaderMemory): ReaderMemory {
  const positions: ReaderMemory['positions'] = {}
  for (const [topic, partitions] of Object.entries(memory.positions)) positions[topic] = { ...partitions }
  return { epochs: { ...memory.epochs }, positions }
}

/** Whether an owner wrote the record that others have followed since: nothing that it says counts. */
export function isOfFormerOwner({ epochs }: ReaderMemory, { shard, epoch }: RecordHeaders): boolean {
  return shard !== undefined && epoch !== undefined && epoch < (epochs[shard] ?? -1)
}

/**
 * Whether a record counts, updating the memory: a record of a lower epoch after one of a higher epoch does not, nor does
 * a position that is not higher than the last of its fixed partition. Markers raise the epoch and never count; one with a position says that
 * its fixed partition begins anew: what comes next of it counts, whatever its position.
 */
export function counts(memory: ReaderMemory, headers: RecordHeaders): boolean {
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
    if (last !== undefined && (position.offset < last[0] || (position.offset === last[0] && n <= last[1])))
      return false
    partitions[position.partition] = [position.offset, n]
  }
  return true
}
