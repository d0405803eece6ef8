import { test } from 'node:test'
import { KafkaReader } from '../../../src/adapters/broker/kafka/reader.ts'
import { TopicView } from '../../../src/adapters/broker/kafka/topic-view.ts'
import { assertLevel } from '../../leaks/level.ts'
import { kafkaSettings } from './kafka-fixtures.ts'

/** In each round, of which there are two at least. */
const TURNS = 5_000

test('an idle reader keeps nothing of its waits', async () => {
  const reader = new KafkaReader(kafkaSettings('127.0.0.1:1'), new TopicView(), () => undefined)
  const { signal } = new AbortController()
  const idle = async (): Promise<void> => {
    for (let turn = 0; turn < TURNS; turn++) await reader.poll({ maxRecords: 1, waitMs: 0 }, signal)
  }
  await assertLevel(idle, { mostBytes: TURNS * 20, what: `${TURNS} waits` })
  await reader.close(signal)
})
