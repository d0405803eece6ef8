import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openControlBus } from '../../../src/control/bus.ts'
import { readRanges } from '../../../src/control/read-range.ts'
import { findTopic } from '../../../src/control/topics.ts'
import type { StoredRecord } from '../../../src/ports/broker.ts'
import type { Log } from '../../../src/ports/log.ts'
import { CheckpointReader } from '../../../src/services/producer/checkpoint-reader.ts'
import { createProducerServices } from '../../../src/services/producer/producer.ts'
import { NAMES } from '../../names.ts'
import { quietAlerts, quietLog, quietMeter } from '../../quiet.ts'
import { idleSource } from './idle-source.ts'
import { NEVER, openBareLog, trades } from './one-shard.ts'

/** Too many for one record: about 45 bytes each. */
const STREAMS = 30_000

/** Producers one after the other over one broker, and very many streams whose topics the broker does not show. */
async function setUp(t: TestContext) {
  const { broker, view, registry } = await openBareLog(t)
  const warnings: string[] = []
  const log: Log = { ...quietLog, warn: (_fields, text) => warnings.push(text), child: () => log }

  const start = async () => {
    const bus = await openControlBus(broker, NAMES, registry, quietLog, NEVER)
    const services = await createProducerServices(
      {
        ...{
          source: idleSource,
          markets: [],
          broker,
          registry,
          bus,
          instance: 'producer',
          newId: () => 'id',
        },
        ...{ names: NAMES, topics: NAMES.fixed, partitions: 1, standing: new Map(), lingerMs: 0 },
        ...{ now: Date.now, alerts: quietAlerts, log, meter: quietMeter },
      },
      NEVER,
    )
    return {
      ...services,
      async end() {
        await services.close(NEVER)
        await bus.close()
      },
    }
  }
  let offset = 1_000_000
  const name = (n: number): string => `app.${String(n).padStart(26, '0')}`
  return {
    ...{ start, warnings },
    makeStreams() {
      for (let n = 0; n < STREAMS; n++)
        view.apply(offset++, `stream:${name(n)}`, {
          ...{ v: 1, instance: 'leader', epoch: 1, createdAt: 0, kind: 'stream', state: 'ready', start: [0] },
          ...{ id: name(n), topic: name(n), topicId: 'gone' },
          spec: { channel: 'trade', symbols: ['A-B'], exchanges: [] },
        })
    },
    endStreams() {
      for (let n = 100; n < STREAMS; n++) view.apply(offset++, `stream:${name(n)}`, null)
    },
    async checkpoints(): Promise<readonly StoredRecord[]> {
      const topic = await findTopic(broker, NAMES.checkpoints, NEVER)
      const { earliest = 0, end = 0 } = topic?.offsets[0] ?? {}
      const found: StoredRecord[] = []
      const range = { topic: NAMES.checkpoints, partition: 0, offset: earliest, end }
      await readRanges(broker, [range], ({ records }) => found.push(...records), NEVER)
      return found
    },
  }
}

const folded = (records: readonly StoredRecord[]): CheckpointReader => {
  const reader = new CheckpointReader()
  for (const record of records) reader.take(record)
  return reader
}

test('a checkpoint holds more streams that are behind than go into one record, and the next owner reads them all', async (t) => {
  const world = await setUp(t)
  const first = await world.start()
  await first.publishFixed({ items: [] }, NEVER)
  world.makeStreams()
  await first.publishFixed(trades('A-B', 'one'), NEVER)
  await first.publishDynamic(NEVER)
  await first.end()
  assert.deepEqual(
    world.warnings.filter((text) => text.includes('checkpoint')),
    [],
  )
  const written = await world.checkpoints()
  const { checkpoint, unreadable } = folded(written)
  assert.equal(Object.keys(checkpoint.behind).length, STREAMS)
  assert.deepEqual([...unreadable], [])
  const largest = Math.max(...written.map(({ value }) => value?.length ?? 0))
  assert.ok(largest < 300_000, `a record of ${largest} bytes`)

  const withoutOne = written.filter(({ key }) => key !== 'checkpoint:2')
  assert.deepEqual([...folded(withoutOne).unreadable], [['checkpoint:2', 'it is not there']])

  world.endStreams()
  const second = await world.start()
  await second.publishFixed(trades('A-B', 'two'), NEVER)
  await second.end()
  const after = await world.checkpoints()
  assert.equal(Object.keys(folded(after).checkpoint.behind).length, 100)
  const last = new Map(after.map(({ key, value }) => [key, value]))
  const parts = [...last].filter(([key]) => key?.startsWith('checkpoint:'))
  assert.ok(parts.length > 0 && parts.every(([, value]) => value === null), 'the further records are ended')
})

test('what is not understood of a checkpoint is said with its version', () => {
  const reader = new CheckpointReader()
  const headers = { v: 1, kind: 'control' } as const
  const write = (key: string, body: object): void =>
    reader.take({
      key,
      value: Buffer.from(JSON.stringify(body)),
      headers,
      offset: 0,
      timestamp: 0,
    } as StoredRecord)
  write('checkpoint', { v: 9 })
  write('checkpoint:1', { v: 1, behind: 'odd' })
  assert.deepEqual(
    [...reader.unreadable],
    [
      ['checkpoint', 'it is of version 9, and this process knows up to 2'],
      ['checkpoint:1', 'it is of another shape'],
    ],
  )
})
