import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  decodeRowCursor,
  encodeRowCursor,
  pageOf,
  type RowOrder,
  type RowPosition,
  rowsAfter,
} from '../../src/domain/row-cursor.ts'
import type { StoredRow } from '../../src/domain/stored-rows.ts'
import { isoMicros } from '../../src/domain/time.ts'
import { SEED } from '../seed.ts'

type Trade = StoredRow<'trade'>

/** Trades of two times and two ids: many are alike in everything. */
function trade(n: number): Trade {
  const ts = isoMicros(1_767_225_600_000_000 + (n % 2))
  const rest = { exchange: 'kraken', symbol: 'X', side: 'buy', price: 1.5, size: 0.1 }
  return { ...rest, id: String(Math.floor(n / 2) % 2), ts, recvTs: ts }
}

const place = (key: RowPosition['key']) => JSON.stringify(key.slice(0, 2))

/** What a store does: the rows from the position's own on, without those that were given. */
function read(table: readonly Trade[], order: RowOrder, limit: number, after?: RowPosition): Trade[] {
  const at = ({ ts, id }: Trade) => place([ts, id])
  const sign = order === 'asc' ? 1 : -1
  const rows = table.toSorted((a, b) => sign * at(a).localeCompare(at(b)))
  if (after === undefined) return rows.slice(0, limit)
  const from = rows.filter((row) => sign * at(row).localeCompare(place(after.key)) >= 0)
  return rowsAfter('trade', from, after).slice(0, limit)
}

test(`pages give every row once, in both directions, also rows that are alike (seed ${SEED})`, () => {
  const property = fc.property(
    fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 20 }),
    fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 5 }),
    fc.integer({ min: 1, max: 6 }),
    fc.constantFrom('asc' as const, 'desc' as const, undefined),
    (kinds, arriving, limit, order) => {
      const table = kinds.map(trade)
      const later = [...arriving]
      const seen: Trade[] = []
      let after: RowPosition | undefined
      for (let pages = 0; ; pages++) {
        assert.ok(pages <= kinds.length + arriving.length, 'it comes to an end')
        const found = read(table, order ?? 'desc', limit + 1, after)
        const { rows, next } = pageOf('trade', order === undefined ? found.reverse() : found, {
          limit,
          order,
          after,
        })
        assert.ok(rows.length <= limit)
        if (order === undefined) seen.unshift(...rows)
        else seen.push(...rows)
        if (next === undefined) break
        assert.deepEqual(decodeRowCursor(encodeRowCursor('trade:X', next), 'trade', 'trade:X'), next)
        after = next
        // What arrives after the position is seen, what arrives before it is not: nothing else moves.
        const arrived = later.pop()
        if (arrived !== undefined) {
          const row = trade(arrived)
          const sign = order === 'asc' ? 1 : -1
          if (sign * place([row.ts, row.id]).localeCompare(place(next.key)) > 0) table.push(row)
        }
      }
      assert.deepEqual(seen, read(table, order ?? 'asc', table.length))
    },
  )
  fc.assert(property, { seed: SEED, numRuns: 500 })
})

test('a cursor that is none of ours, or one of something else, is refused with its code', () => {
  const position = { key: ['2026-01-01T00:00:00.000000Z', 'kraken'], given: 1 }
  const scope = 'candle:X:1h:trades'
  const good = encodeRowCursor(scope, position)
  assert.deepEqual(decodeRowCursor(good, 'candle', scope), position)
  const made = (...parts: unknown[]) => Buffer.from(JSON.stringify(parts)).toString('base64url')
  const bad = [
    '',
    'x',
    `${good}A`,
    `${good}=`,
    good.slice(0, -2),
    'A'.repeat(5000),
    made(2, scope, 1, ...position.key),
    made(1, scope, 0, ...position.key),
    made(1, scope, 1e9, ...position.key),
    made(1, scope, 1, 'yesterday', 'kraken'),
    made(1, scope, 1, position.key[0], 7),
    made(1, scope, 1, position.key[0], 'a\0b'),
    made(1, scope, 1, position.key[0]),
    made(1, scope, 1, ...position.key, 1),
    encodeRowCursor('candle:X:1m:trades', position),
  ]
  for (const text of bad)
    assert.throws(() => decodeRowCursor(text, 'candle', scope), { code: 'CURSOR_INVALID' }, text)
})
