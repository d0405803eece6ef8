import type { Channel } from '../../domain/events.ts'
import type { PartitionRecords } from '../../ports/broker.ts'
import { expectedAt } from './expected-at.ts'
import { isOfFormerOwners } from './late-writes.ts'
import type { ShardOwnership } from './ownership.ts'
import type { ProducerParts } from './parts.ts'
import type { Shard } from './shard.ts'
import type { Tail } from './tail.ts'

/** What is on its way into a partition of a fixed topic. */
interface Write {
  readonly shard: Shard
  readonly channel: Channel
  readonly records: PartitionRecords
}

/** A write that the broker has acknowledged: it begins at `baseOffset`. */
export interface Acknowledged extends Write {
  readonly baseOffset: number
}

/** How writes come into fixed partitions, and whether nobody else wrote there. */
interface FixedWrites {
  write<T extends Write>(
    writes: readonly T[],
    signal: AbortSignal,
  ): Promise<readonly (T & { readonly baseOffset: number })[]>
  accept(acknowledged: Acknowledged, count: number, keep: (tail: Tail, base: number) => void): boolean
}

export function createFixedWrites(
  { broker, topics, log }: Pick<ProducerParts, 'broker' | 'topics' | 'log'>,
  ownership: ShardOwnership,
): FixedWrites {
  const { shards } = ownership

  /** Goes on after records that former owners wrote late. */
  const passLateWrites = async (
    { shard, channel, baseOffset }: Acknowledged,
    signal: AbortSignal,
  ): Promise<void> => {
    const tail = shard.tails[channel]
    if (baseOffset <= tail.expected) return
    const range = { topic: topics[channel], partition: shard.k, offset: tail.expected, end: baseOffset }
    if (!(await isOfFormerOwners(broker, range, shard.epoch, signal))) return
    log.debug({ shard: shard.k, records: baseOffset - tail.expected }, 'a former owner wrote late')
    tail.expected = baseOffset
  }

  /** Writes into fixed partitions, and gives where each write begins. */
  const write = async <T extends Write>(
    writes: readonly T[],
    signal: AbortSignal,
  ): Promise<readonly (T & { readonly baseOffset: number })[]> => {
    const acks = await broker.publish(
      writes.map(({ shard, channel, records }) => ({
        ...records,
        records: expectedAt(shard.tails[channel].expected, records.records),
      })),
      signal,
    )
    const acknowledged = writes.map((each, i) => ({ ...each, baseOffset: acks[i]?.baseOffset ?? -1 }))
    for (const each of acknowledged) await passLateWrites(each, signal)
    return acknowledged
  }

  /**
   * Whether an acknowledgement begins where this owner expects it; if not, a new owner came first (R8). `keep` keeps in hand what streams want
   * of the records.
   */
  const accept = (
    { shard, channel, baseOffset }: Acknowledged,
    count: number,
    keep: (tail: Tail, base: number) => void,
  ): boolean => {
    const tail = shard.tails[channel]
    if (baseOffset < tail.expected) {
      // The records lie in the log, which has lost its end, or is another one. Nobody else wrote. Another channel may just have told so.
      tail.expected = baseOffset + count
      ownership.loseEnd(shard.k, channel, baseOffset)
      return true
    }
    if (shards.get(shard.k) !== shard) return false
    if (baseOffset !== tail.expected) {
      ownership.yield(shard.k)
      return false
    }
    tail.expected += count
    keep(tail, baseOffset)
    if (tail.pending.length === 0) tail.derivedTo = tail.expected
    return true
  }

  return { write, accept }
}
