import { openEmbeddedBroker } from '../../src/adapters/broker/embedded.ts'
import { EVENT_VERSION, encodeEvent } from '../../src/domain/event-codec.ts'
import { marketKey } from '../../src/domain/events.ts'
import type { Broker, OutgoingRecord } from '../../src/ports/broker.ts'
import { BaselineThread } from '../baseline-thread.ts'
import { type Bench, describe, type Measurement, measure } from '../bench.ts'
import { inTemporaryFolder } from '../temporary-folder.ts'
import { batchesOf, makeTrades } from '../trades.ts'
import type { RowAnswer, RowQuestion } from './sqlite-rows-protocol.ts'

const BATCH = 500
/** Records of one read, on both sides. */
const READ = 5_000
const ROUNDS = 3
const RECORDS = 200_000
const signal = AbortSignal.timeout(600_000)

export const bench: Bench = {
  summary: 'the embedded log against node:sqlite, one row a record, in a worker thread, same batches',
  async run({ records: count = RECORDS }, print) {
    const records = makeTrades(count).map(
      (trade): OutgoingRecord => ({
        key: marketKey(trade),
        // A buffer of its own: one of Node's pool would have the baseline's thread sent the whole pool.
        value: new Uint8Array(encodeEvent(trade)),
        headers: { v: EVENT_VERSION, kind: 'event', shard: 0, epoch: 1 },
      }),
    )
    await inTemporaryFolder(async (folder) => {
      const broker = await openEmbeddedBroker({ folder: `${folder}/broker` })
      const baseline = await BaselineThread.start<RowQuestion, RowAnswer>(
        new URL('./sqlite-rows.ts', import.meta.url),
        folder,
      )
      try {
        await compare(broker, baseline, records, print)
      } finally {
        await broker.close()
        await baseline.close()
      }
    })
  },
}

async function compare(
  broker: Broker,
  baseline: BaselineThread<RowQuestion, RowAnswer>,
  records: readonly OutgoingRecord[],
  print: (line: string) => void,
): Promise<void> {
  const append: { subject: Measurement[]; baseline: Measurement[] } = { subject: [], baseline: [] }
  const read: { subject: Measurement[]; baseline: Measurement[] } = { subject: [], baseline: [] }
  for (let round = 0; round < ROUNDS; round++) {
    const topic = `bench.${round}`
    await broker.createTopics([{ name: topic, partitions: 1 }], signal)
    append.subject.push(await measure(records.length, () => publishAll(broker, topic, records)))
    append.baseline.push(await measure(records.length, () => insertAll(baseline, topic, records)))
    read.subject.push(await measure(records.length, () => readTopic(broker, topic, records)))
    read.baseline.push(await measure(records.length, () => selectAll(baseline, topic, records)))
  }
  print(describe({ name: `append, batches of ${BATCH}`, unit: 'records', ...append }))
  print(describe({ name: `read back, up to ${READ} a poll`, unit: 'records', ...read }))
}

async function publishAll(broker: Broker, topic: string, records: readonly OutgoingRecord[]): Promise<void> {
  for (const batch of batchesOf(records, BATCH)) {
    await broker.publish([{ topic, partition: 0, records: batch }], signal)
  }
}

async function insertAll(
  baseline: BaselineThread<RowQuestion, RowAnswer>,
  topic: string,
  records: readonly OutgoingRecord[],
): Promise<void> {
  let baseOffset = 0
  for (const batch of batchesOf(records, BATCH)) {
    const rows = batch.map(({ key, value, headers }) => ({ key, value, headers: JSON.stringify(headers) }))
    await baseline.ask({ op: 'append', topic, baseOffset, records: rows })
    baseOffset += batch.length
  }
}

async function readTopic(broker: Broker, topic: string, expected: readonly OutgoingRecord[]): Promise<void> {
  const reader = await broker.openReader(AbortSignal.timeout(30_000))
  await reader.assign([{ topic, partition: 0, offset: 0 }], AbortSignal.timeout(30_000))
  let next = 0
  while (next < expected.length) {
    for (const fetch of await reader.poll({ maxRecords: READ, waitMs: 1_000 }, signal)) {
      if (fetch.kind !== 'records') throw new Error(`the reader of ${topic} met ${fetch.kind}`)
      for (const record of fetch.records) checkRecord(record.value, record.offset, next++, expected)
    }
  }
  await reader.close(AbortSignal.timeout(30_000))
}

async function selectAll(
  baseline: BaselineThread<RowQuestion, RowAnswer>,
  topic: string,
  expected: readonly OutgoingRecord[],
): Promise<void> {
  let next = 0
  while (next < expected.length) {
    const { rows } = await baseline.ask({ op: 'read', topic, offset: next, limit: READ })
    for (const row of rows) checkRecord(row['value'], row['record_offset'], next++, expected)
    if (rows.length === 0) throw new Error(`the baseline lost records of ${topic} after ${next}`)
  }
}

/** Both sides must hand over every record in order, with a value of the right length. */
function checkRecord(
  value: unknown,
  offset: unknown,
  index: number,
  expected: readonly OutgoingRecord[],
): void {
  const length = expected[index]?.value?.length
  if (offset === index && value instanceof Uint8Array && value.length === length) return
  throw new Error(`record ${index} came back otherwise: offset ${offset}`)
}
