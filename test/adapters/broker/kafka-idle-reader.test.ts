import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KafkaReader } from '../../../src/adapters/broker/kafka/reader.ts'
import { TopicView } from '../../../src/adapters/broker/kafka/topic-view.ts'
import { heapGrowth } from '../../collected-heap.ts'
import { kafkaSettings } from './kafka-fixtures.ts'

test('an idle reader keeps nothing of its waits', async () => {
  const reader = new KafkaReader(kafkaSettings('127.0.0.1:1'), new TopicView(), () => undefined)
  const { signal } = new AbortController()
  const idle = async (turns: number): Promise<void> => {
    for (let turn = 0; turn < turns; turn++) await reader.poll({ maxRecords: 1, waitMs: 0 }, signal)
  }
  await idle(1_000)
  const grown = await heapGrowth(() => idle(10_000))
  await reader.close(signal)
  assert.ok(grown < 10_000 * 20, `${grown} bytes after 10,000 waits, ${grown / 10_000} for each`)
})
