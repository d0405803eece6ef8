import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Broker } from '../../src/ports/broker.ts'
import { type Bench, describe, type Measurement, measure, wholeNumber } from '../bench.ts'
import { type KafkaToMeasure, openKafkaToMeasure } from '../servers/kafka.ts'
import { byPartition } from '../store/topic.ts'
import { inTemporaryFolder } from '../temporary-folder.ts'
import { batchesOf, makeBatches } from '../trades.ts'
import { consumeByJava, JAVA_PRODUCERS, produceByJava } from './java.ts'

const RECORDS = 500_000
/** Records of one `publish`, over all partitions. */
const BATCH = 1_000
/** Encoded before they are published in a row, so that the broker has no pause while the next batch is encoded. */
const ENCODED_AHEAD = 50_000
/** Records of one `poll`. */
const READ = 20_000
const ROUNDS = 3
const PARTITIONS = 4
/** Different values that Java's producer draws from. */
const PAYLOADS = 10_000
const signal = AbortSignal.timeout(3_600_000)

export const bench: Bench = {
  summary:
    "the adapter's publish and poll against Kafka's own ProducerPerformance and ConsumerPerformance, same values",
  async run({ records = RECORDS, kafka: servers }, print) {
    await inTemporaryFolder(async (folder) => {
      const payloads = join(folder, 'payloads.txt')
      const [sample = []] = makeBatches(PAYLOADS, PAYLOADS)
      await writeFile(payloads, sample.map((trade) => JSON.stringify(trade)).join('\n'))
      const kafka = await openKafkaToMeasure(servers)
      try {
        print(`  ${kafka.name}, ${PARTITIONS} partitions, ${wholeNumber(records)} records a round`)
        await compare(kafka, records, payloads, print)
      } finally {
        await kafka.close()
      }
    })
  },
}

async function compare(
  kafka: KafkaToMeasure,
  records: number,
  payloads: string,
  print: (line: string) => void,
): Promise<void> {
  const { broker, prefix, config } = kafka
  const bootstrap = config.broker.bootstrap.join(',')
  const own: Measurement[] = []
  const java = new Map(JAVA_PRODUCERS.map((producer) => [producer, [] as Measurement[]]))
  const read: { subject: Measurement[]; baseline: Measurement[] } = { subject: [], baseline: [] }
  const newTopic = async (name: string): Promise<string> => {
    const topic = `${prefix}.${name}`
    await broker.createTopics([{ name: topic, partitions: PARTITIONS }], signal)
    return topic
  }
  for (let round = 0; round < ROUNDS; round++) {
    const topic = await newTopic(`own.${round}`)
    own.push(await publishAll(broker, topic, records))
    for (const [producer, rounds] of java) {
      const target = await newTopic(`java.${round}.${JAVA_PRODUCERS.indexOf(producer)}`)
      rounds.push(await produceByJava({ ...producer, bootstrap, topic: target, records, payloads }))
    }
    read.subject.push(await measure(records, () => readTopic(broker, topic, records)))
    read.baseline.push(await consumeByJava({ bootstrap, topic, records }))
  }
  for (const [{ name }, baseline] of java) {
    const measured = `publish, batches of ${wholeNumber(BATCH)}, one in flight`
    print(describe({ name: measured, unit: 'records', subject: own, baseline, against: name }))
  }
  const against = 'ConsumerPerformance'
  print(describe({ name: `read, up to ${wholeNumber(READ)} a poll`, unit: 'records', ...read, against }))
}

/** Each batch is acknowledged by all replicas before the next is sent; encoding is not in the time. */
async function publishAll(broker: Broker, topic: string, records: number): Promise<Measurement> {
  let [seconds, mainCpuMicros] = [0, 0]
  for (const trades of makeBatches(records, ENCODED_AHEAD)) {
    const batches = batchesOf(trades, BATCH).map((batch) => byPartition(topic, PARTITIONS, batch))
    const part = await measure(trades.length, async () => {
      for (const entries of batches) await broker.publish(entries, signal)
    })
    seconds += part.seconds
    mainCpuMicros += part.mainCpuMicros
  }
  return { records, seconds, mainCpuMicros }
}

async function readTopic(broker: Broker, topic: string, records: number): Promise<void> {
  const reader = await broker.openReader(AbortSignal.timeout(30_000))
  await reader.assign(
    Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition, offset: 0 })),
    AbortSignal.timeout(30_000),
  )
  const next = Array.from({ length: PARTITIONS }, () => 0)
  let count = 0
  while (count < records) {
    for (const fetch of await reader.poll({ maxRecords: READ, waitMs: 1_000 }, signal)) {
      if (fetch.kind !== 'records') throw new Error(`the reader of ${topic} met ${fetch.kind}`)
      for (const { offset, value } of fetch.records) {
        if (offset !== next[fetch.partition] || value === null)
          throw new Error(`offset ${offset} came out of order`)
        next[fetch.partition] = offset + 1
      }
      count += fetch.records.length
    }
  }
  await reader.close(AbortSignal.timeout(30_000))
}
