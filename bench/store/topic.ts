import { EVENT_VERSION, encodeEvent } from '../../src/domain/event-codec.ts'
import { fixedTopic, marketKey, shardOf, type Trade } from '../../src/domain/events.ts'
import type { OutgoingRecord, PartitionRecords } from '../../src/ports/broker.ts'
import type { KafkaToMeasure } from '../servers/kafka.ts'
import { makeBatches } from '../trades.ts'

/** The channels that have a table, and a topic each. */
const STORED = ['trade', 'quote', 'candle', 'status'] as const
const BATCH = 4_000
const signal = AbortSignal.timeout(3_600_000)

/** The topics that a fixed consumer reads. */
export type StoredTopics = Readonly<Record<(typeof STORED)[number], string>>

/** Makes the fixed topics with the partitions of the configuration, and publishes so many trades as a producer does. */
export async function fillTopics(
  { broker, prefix, config }: KafkaToMeasure,
  count: number,
): Promise<StoredTopics> {
  const topics = Object.fromEntries(
    STORED.map((channel) => [channel, fixedTopic(prefix, channel)]),
  ) as StoredTopics
  const { partitions } = config.topics
  await broker.createTopics(
    Object.values(topics).map((name) => ({ name, partitions })),
    signal,
  )
  for (const batch of makeBatches(count, BATCH)) {
    await broker.publish(byPartition(topics.trade, partitions, batch), signal)
  }
  return topics
}

/** Trades as records of the partitions that their markets belong to. */
export function byPartition(topic: string, partitions: number, trades: readonly Trade[]): PartitionRecords[] {
  const lists = Array.from({ length: partitions }, (): OutgoingRecord[] => [])
  for (const trade of trades) {
    const key = marketKey(trade)
    const shard = shardOf(key, partitions)
    const headers = { v: EVENT_VERSION, kind: 'event', shard, epoch: 1 } as const
    lists[shard]?.push({ key, value: encodeEvent(trade), headers })
  }
  return lists.flatMap((records, partition) => (records.length === 0 ? [] : [{ topic, partition, records }]))
}
