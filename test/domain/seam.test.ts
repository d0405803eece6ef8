import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeCursor, encodeCursor } from '../../src/domain/cursor.ts'
import { placeBefore } from '../../src/domain/reader-rules.ts'
import { inFrontOfSeam } from '../../src/domain/seam.ts'

test('what a log tells in front of a place counts as had up to the seam, and what lies after it does not', () => {
  const memory = {
    epochs: { 0: 4 },
    positions: { fixed: { 0: [12, 0], 1: [3, 0] }, other: { 0: [40, 0] } },
  } as const
  const { epochs, positions } = inFrontOfSeam('fixed', [10, 10], memory)
  assert.deepEqual(positions, { fixed: { 0: placeBefore(10), 1: [3, 0] }, other: { 0: [40, 0] } })
  assert.deepEqual(epochs, { 0: 4 })
  assert.deepEqual(memory.positions.fixed[0], [12, 0], 'the memory itself stays')
})

test('of a partition whose seam lies at its beginning nothing counts as had, and a cursor says so', () => {
  const memory = inFrontOfSeam('fixed', [0, 10], {
    epochs: {},
    positions: { fixed: { 0: [12, 0], 1: [3, 0] } },
  })
  assert.deepEqual(memory.positions, { fixed: { 1: [3, 0] } })
  const cursor = { lease: 'lease', topics: [{ topicId: 'topic', offset: 7, memory }] }
  assert.deepEqual(decodeCursor(encodeCursor(cursor), 'fixed'), cursor)
})
