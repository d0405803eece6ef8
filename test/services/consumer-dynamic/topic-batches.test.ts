import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { decodeCursor } from '../../../src/domain/cursor.ts'
import { emptyMemory } from '../../../src/domain/reader-rules.ts'
import type { RecordHeaders } from '../../../src/domain/record.ts'
import { boundOf } from '../../../src/domain/seam.ts'
import type { StoredRecord } from '../../../src/ports/broker.ts'
import { encodeDataFrame } from '../../../src/services/consumer-dynamic/data-frame.ts'
import { toTopicBatches } from '../../../src/services/consumer-dynamic/topic-batches.ts'

const FIXED = 'market.trades'

function record(offset: number, headers: Partial<RecordHeaders>, body: object | null): StoredRecord {
  const value = body === null ? null : Buffer.from(JSON.stringify(body))
  return { offset, key: null, timestamp: 0, headers: { v: 1, kind: 'event', ...headers }, value }
}

/** An event of shard 0 that the fixed record of this offset caused. */
const event = (offset: number, caused: number, epoch = 1): StoredRecord =>
  record(offset, { shard: 0, epoch, position: { topic: FIXED, partition: 0, offset: caused } }, { n: caused })

function batchesOf(records: readonly StoredRecord[], from: number, nextOffset: number) {
  const memory = emptyMemory()
  const fetch = { kind: 'records', topic: 'app.1', topicId: 'id', partition: 0 } as const
  const batches = toTopicBatches({ ...fetch, records, nextOffset, endOffset: nextOffset }, from, memory)
  return { batches, memory }
}

describe('batches of a dynamic topic', () => {
  test('leave out what came before, repeats, and what a former owner wrote; they cover all that was read', () => {
    const records = [
      event(3, 30),
      event(4, 31),
      event(5, 31),
      record(6, { kind: 'marker', shard: 0, epoch: 2 }, null),
      event(7, 32, 1),
      event(8, 32, 2),
    ]
    const { batches, memory } = batchesOf(records, 4, 10)
    assert.deepEqual(
      batches.map(({ from, next, events, reset }) => [from, next, events.map(({ offset }) => offset), reset]),
      [[4, 10, [4, 8], null]],
    )
    assert.deepEqual(memory, { epochs: { 0: 2 }, positions: { [FIXED]: { 0: [32, 0] } } })
  })

  test('history that is gone ends a batch in front of it and is told by one of its own', () => {
    const records = [
      event(0, 1),
      record(1, { kind: 'marker', shard: 0, epoch: 2 }, { reset: 'retention' }),
      event(2, 9, 2),
      // Of an owner that others have followed: nothing that it says counts.
      record(3, { kind: 'marker', shard: 0, epoch: 1 }, { reset: 'late' }),
    ]
    const { batches } = batchesOf(records, 0, 4)
    assert.deepEqual(
      batches.map(({ from, next, events, reset }) => [from, next, events.length, reset]),
      [
        [0, 1, 1, null],
        [1, 2, 0, 'retention'],
        [2, 4, 1, null],
      ],
    )
    assert.deepEqual(
      batches[0]?.after.epochs,
      { 0: 1 },
      'a batch remembers what lies before its end, and no more',
    )
  })

  test('in front of a seam: what the reader had got behind it counts no more where a partition begins anew', () => {
    const position = { topic: FIXED, partition: 0, offset: 3 }
    const records = [
      event(0, 7),
      record(1, { kind: 'marker', shard: 0, epoch: 2, position }, { reset: 'the log has lost its end' }),
      event(2, 4, 2),
      event(3, 5, 2),
    ]
    const memory = { epochs: { 0: 1 }, positions: { [FIXED]: { 0: [6, 0] as const } } }
    const bound = boundOf(FIXED, [5], memory)
    const fetch = { kind: 'records', topic: 'app.1', topicId: 'id', partition: 0 } as const
    const batches = toTopicBatches({ ...fetch, records, nextOffset: 4, endOffset: 4 }, 0, memory, bound)
    assert.deepEqual(
      batches.map(({ events, reset }) => [events.map(({ offset }) => offset), reset]),
      [
        [[], 'the log has lost its end'],
        [[2], null],
      ],
    )
    assert.deepEqual(memory.positions, { [FIXED]: { 0: [4, 0] } })
  })

  test('have at most a thousand events each, without a hole between them', () => {
    const records = Array.from({ length: 2_500 }, (_, i) => event(i, i))
    const { batches } = batchesOf(records, 0, 2_500)
    assert.deepEqual(
      batches.map(({ from, next, events }) => [from, next, events.length]),
      [
        [0, 1_000, 1_000],
        [1_000, 2_000, 1_000],
        [2_000, 2_500, 500],
      ],
    )
  })

  test('a frame has the values as they are, from where an application has not had them, and a cursor after the batch', () => {
    const { batches } = batchesOf([event(0, 5), event(1, 6), event(2, 7)], 0, 3)
    const [batch] = batches
    assert.ok(batch)
    for (const [from, events] of [
      [0, [{ n: 5 }, { n: 6 }, { n: 7 }]],
      [2, [{ n: 7 }]],
      [3, []],
    ] as const) {
      const frame = JSON.parse(encodeDataFrame('a "lease"', batch, from).bytes.toString())
      assert.deepEqual({ ...frame, cursor: '' }, { op: 'data', stream: 'a "lease"', cursor: '', events })
      const { lease, topics } = decodeCursor(frame.cursor, FIXED)
      assert.deepEqual([lease, topics], ['a "lease"', [{ topicId: 'id', offset: 3, memory: batch.after }]])
    }
  })
})
