import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { KafkaReader } from '../../../src/adapters/broker/kafka/reader.ts'
import { TopicView } from '../../../src/adapters/broker/kafka/topic-view.ts'
import { kafkaSettings } from './kafka-fixtures.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Bytes of the heap that are in use once everything that can go has gone. */
async function usedHeap(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    collectGarbage()
    // What is finalized is freed the next time.
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return process.memoryUsage().heapUsed
}

test('an idle reader keeps nothing of its waits', async () => {
  const reader = new KafkaReader(kafkaSettings('127.0.0.1:1'), new TopicView(), () => undefined)
  const { signal } = new AbortController()
  const idle = async (turns: number): Promise<void> => {
    for (let turn = 0; turn < turns; turn++) await reader.poll({ maxRecords: 1, waitMs: 0 }, signal)
  }
  await idle(1_000)
  const before = await usedHeap()
  await idle(10_000)
  const grown = (await usedHeap()) - before
  await reader.close(signal)
  assert.ok(grown < 10_000 * 20, `${grown} bytes after 10,000 waits, ${grown / 10_000} for each`)
})
