import { writeSync } from 'node:fs'
import { openEmbeddedBroker } from '../../../src/adapters/broker/embedded.ts'
import type { PartitionRecords } from '../../../src/ports/broker.ts'

// Appends until it is killed, and prints what was acknowledged: a line "topic partition lastOffset" each.
// The value of each record is the offset that it must get.

const [folder = ''] = process.argv.slice(2)
const forever = new AbortController().signal
const broker = await openEmbeddedBroker({ folder })
const specs = ['plain', 'transactional'].map((name) => ({ name, partitions: 2 }))
const topics = await broker.createTopics(
  [...specs, { name: 'compacted', partitions: 1, compacted: true }],
  forever,
)
const next = new Map(topics.map(({ name, offsets }) => [name, offsets.map(({ end }) => end)]))
const writer = await broker.takeOver('writer', forever)

function entry(topic: string, partition: number, count: number): PartitionRecords {
  const ends = next.get(topic) ?? []
  const from = ends[partition] ?? 0
  ends[partition] = from + count
  const records = Array.from({ length: count }, (_, index) => ({
    key: `key ${from + index}`,
    value: Buffer.from(`${from + index}${'.'.repeat(150)}`),
    headers: { v: 1, kind: 'event' } as const,
  }))
  return { topic, partition, records }
}

async function keepAppending(make: () => readonly PartitionRecords[], append: typeof broker.publish) {
  for (;;) {
    const entries = make()
    const acks = await append(entries, forever)
    const lines = acks.map(
      ({ topic, partition, baseOffset }, index) =>
        `${topic} ${partition} ${baseOffset + (entries[index]?.records.length ?? 0) - 1}\n`,
    )
    writeSync(1, lines.join(''))
  }
}

const publish = broker.publish.bind(broker)
await Promise.all([
  ...[1, 2, 3].map(() => keepAppending(() => [entry('plain', 0, 40), entry('plain', 1, 600)], publish)),
  keepAppending(() => [entry('compacted', 0, 5)], publish),
  keepAppending(
    () => [entry('transactional', 0, 3), entry('transactional', 1, 3)],
    (entries, signal) => writer.commit(entries, signal),
  ),
])
