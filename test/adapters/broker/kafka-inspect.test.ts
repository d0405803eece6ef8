import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Admin } from '@platformatic/kafka'
import type { KafkaSettings } from '../../../src/adapters/broker/kafka/settings.ts'
import { inspectKafka, openKafkaBroker } from '../../../src/adapters/broker/kafka.ts'
import { until } from '../../contract/broker-fixtures.ts'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing, startKafka } from '../../servers/kafka.ts'
import { kafkaSettings, USES } from './kafka-fixtures.ts'

const deadline = (): AbortSignal => AbortSignal.timeout(20_000)

async function makeTopics(settings: KafkaSettings): Promise<void> {
  const admin = new Admin({ clientId: 'setup', bootstrapBrokers: [...settings.bootstrap] })
  const make = (topic: string, partitions: number, settings: Record<string, string>) =>
    admin.createTopics({
      topics: [topic],
      partitions,
      replicas: 1,
      configs: Object.entries(settings).map(([name, value]) => ({ name, value })),
    })
  await make('market.trades', 3, { 'retention.ms': '3600000' })
  await make('tapeline.control', 1, { 'message.timestamp.type': 'LogAppendTime' })
  await make('app.01', 1, { 'cleanup.policy': 'compact', 'retention.ms': '-1' })
  await make('of-somebody-else', 1, {})
  await until('all topics can be seen', async () => (await admin.listTopics()).length >= 4)
  await admin.close()
}

describe('a look at a broker', requireServer(kafkaMissing()), () => {
  test('tells version, brokers, our topics with their settings, and the clock, and leaves no trace', async (t) => {
    const server = await startKafka()
    t.after(() => server.close())
    const settings = kafkaSettings(server.bootstrap)
    await makeTopics(settings)
    let found = await inspectKafka(settings, USES, deadline())
    await until('the clock is told', async () => {
      found = await inspectKafka(settings, USES, deadline())
      return found.clockDifferenceMs !== undefined
    })
    assert.match(found.version, /^Apache Kafka 4\.1 or newer \(metadata\.version \d+\)$/)
    assert.deepEqual(found.brokers, [{ id: 1, host: '127.0.0.1', port: server.port }])
    assert.equal(found.controller, 1)
    const plain = { replication: 1, minInsyncReplicas: 1 }
    const week = 7 * 86_400_000
    assert.deepEqual(
      found.topics.filter(({ name }) => name !== 'tapeline.control'),
      [
        { name: 'app.01', partitions: 1, compacted: true, retentionMs: undefined, ...plain },
        { name: 'market.trades', partitions: 3, compacted: false, retentionMs: 3_600_000, ...plain },
      ],
    )
    const control = found.topics.find(({ name }) => name === 'tapeline.control')
    assert.ok(control?.retentionMs === undefined || control.retentionMs === week)
    assert.deepEqual(found.forbidden, [])
    // Both clocks are the same one here; what is left is the way there and back.
    assert.ok(Math.abs(found.clockDifferenceMs ?? Number.NaN) < 5_000, `${found.clockDifferenceMs} ms`)

    // It has left nothing that readers of committed records see.
    const broker = await openKafkaBroker(settings, deadline())
    t.after(() => broker.close())
    const topics = await broker.listTopics('', deadline())
    assert.deepEqual(topics.map(({ name }) => name).sort(), [
      'app.01',
      'market.trades',
      'of-somebody-else',
      'tapeline.control',
    ])
    const reader = await broker.openReader(deadline())
    await reader.assign([{ topic: 'tapeline.control', partition: 0, offset: 0 }], deadline())
    const end = topics.find(({ name }) => name === 'tapeline.control')?.offsets[0]?.end ?? 0
    assert.ok(end > 0, 'it has stamped a record')
    for (let next = 0; next < end; ) {
      for (const fetch of await reader.poll({ maxRecords: 10, waitMs: 1_000 }, deadline())) {
        assert.ok(fetch.kind === 'records')
        assert.deepEqual(fetch.records, [])
        next = fetch.nextOffset
      }
    }
  })

  test('says what keeps a connection from coming about', async () => {
    const settings = kafkaSettings('127.0.0.1:1')
    await assert.rejects(inspectKafka(settings, USES, deadline()), { code: 'BROKER_UNAVAILABLE' })
    const unknown = { ...settings, bootstrap: ['no-such-host.invalid:9092'] }
    await assert.rejects(inspectKafka(unknown, USES, deadline()), (error: Error & { code?: string }) => {
      assert.ok(['BROKER_HOST_UNKNOWN', 'BROKER_UNAVAILABLE'].includes(error.code ?? ''), error.code)
      return true
    })
  })
})
