import type { TopicPartition } from '../../ports/broker.ts'

/** The key of a partition among those of all topics. */
export function partitionKey({ topic, partition }: TopicPartition): string {
  return `${topic}:${partition}`
}
