import type { Broker, TopicDescription } from '../../../src/ports/broker.ts'
import { until } from '../platform-process.ts'

/** Topics of others whose names might be taken for a platform's own. */
export const FOREIGN = ['app.orders', 'app.events', 'orders.01k0abcdefghjkmnpqrstvwxyz', 'tapeline-notes']
/** It could be a stream's topic by its name; others make it after the first start, which refuses it. */
export const LOOKS_LIKE_OURS = 'app.01k0abcdefghjkmnpqrstvwxyz'

const within = (): AbortSignal => AbortSignal.timeout(30_000)

/** Makes topics of others, with records. */
export async function makeForeign(broker: Broker, names: readonly string[]): Promise<void> {
  await broker.createTopics(
    names.map((name) => ({ name, partitions: 1 })),
    within(),
  )
  const records = [1, 2, 3].map((n) => ({
    key: `k${n}`,
    value: Buffer.from(`of others ${n}`),
    headers: { v: 1, kind: 'event' as const },
  }))
  await broker.publish(
    names.map((topic) => ({ topic, partition: 0, records })),
    within(),
  )
}

/** What topics of others are: identities, offsets, and each record. */
export async function foreignNow(
  broker: Broker,
  names: readonly string[],
): Promise<readonly [readonly TopicDescription[], readonly string[]]> {
  const topics = await broker.describeTopics(names, within())
  return [topics.toSorted((a, b) => a.name.localeCompare(b.name)), await recordsOf(broker, topics)]
}

/** All records of topics of one partition, each as a line. */
export async function recordsOf(broker: Broker, topics: readonly TopicDescription[]): Promise<string[]> {
  const reader = await broker.openReader(within())
  const positions = topics.map(({ name }) => ({ topic: name, partition: 0, offset: 0 }))
  const unread = new Map(topics.map(({ name, offsets }) => [name, offsets[0]?.end ?? 0]))
  const read: string[] = []
  try {
    await reader.assign(positions, within())
    await until('all records are read', async () => {
      for (const fetch of await reader.poll({ maxRecords: 1_000, waitMs: 200 }, within())) {
        if (fetch.kind !== 'records') throw new Error(`${fetch.topic} is ${fetch.kind}`)
        for (const { offset, key, value } of fetch.records)
          read.push(`${fetch.topic}:${offset}:${key}:${value === null ? '' : Buffer.from(value)}`)
        // The end of a transaction takes an offset too, without a record.
        if (fetch.nextOffset >= (unread.get(fetch.topic) ?? 0)) unread.delete(fetch.topic)
      }
      return unread.size === 0
    })
  } finally {
    await reader.close(within())
  }
  return read.sort()
}
