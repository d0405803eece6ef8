import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SqlSession } from '../../../src/adapters/store/session.ts'
import { readInWindows, type TimeWindow } from '../../../src/adapters/store/time-windows.ts'

const NEWEST = 100_000

/** A session that only says between which times a plain table has rows. */
const session = {
  rows: async () => ({
    columns: [
      { name: 'oldest', oid: 20 },
      { name: 'newest', oid: 20 },
    ],
    rows: [['0', String(NEWEST)]],
  }),
} as unknown as SqlSession

/** Reads a hundred of the times that have a row; gives how long each window was. */
async function spans(order: 'newest' | 'oldest', hasRow: (time: number) => boolean): Promise<number[]> {
  const found: number[] = []
  const wanted = { order, limit: 100, first: 10, unit: 1 }
  await readInWindows(
    session,
    { kind: 'plain', rows: 'trades', symbol: 'BTC-USD' },
    wanted,
    async ({ low, high }: TimeWindow, limit) => {
      found.push(high - low)
      const times = Array.from({ length: high - low }, (_, i) => low + i).filter(hasRow)
      return order === 'oldest' ? times.slice(0, limit) : times.toReversed().slice(0, limit)
    },
    NEWEST,
  )
  return found
}

test('a window is as long as the rows that are missing need where they are as dense as before', async () => {
  const every = (): boolean => true
  assert.deepEqual(await spans('oldest', every), [10, 80, 20])
  assert.deepEqual(await spans('newest', every), [11, 80, 18])
  assert.deepEqual(await spans('oldest', (time) => time % 10 === 0), [10, 80, 640, 540])
})

test('after a time without rows each window is eight times as long as the one before', async () => {
  assert.deepEqual(await spans('oldest', (time) => time > 5_000), [10, 80, 640, 5_120])
  assert.deepEqual(await spans('oldest', () => false), [10, 80, 640, 5_120, 40_960, 53_191])
})
