import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RoutingTable } from '../../src/domain/routing.ts'
import type { StreamSpec } from '../../src/domain/stream-spec.ts'
import { heapGrowth } from '../collected-heap.ts'

const spec: StreamSpec = { channel: 'trade', symbols: ['A*'], exchanges: [] }

const tableWith = (...ids: string[]): RoutingTable<{ readonly id: string; readonly spec: StreamSpec }> => {
  const table = new RoutingTable<{ readonly id: string; readonly spec: StreamSpec }>()
  for (const id of ids) table.set(id, { id, spec })
  return table
}

test('the table keeps answers for so many markets, however many pass', async () => {
  const table = tableWith('s')
  const pass = (from: number, count: number): void => {
    for (let i = from; i < from + count; i++) table.match('trade', 'simulated', `A${i}-USD`)
  }
  pass(0, 60_000)
  const grown = await heapGrowth(() => pass(60_000, 60_000))
  assert.ok(grown < 4_000_000, `${grown} bytes for 60,000 more markets`)
})

test('a market whose answer went is answered as before, and by the routes of now', () => {
  const table = tableWith('first')
  table.match('trade', 'simulated', 'A-USD')
  for (let i = 0; i < 60_000; i++) table.match('trade', 'simulated', `A${i}-USD`)
  table.set('second', { id: 'second', spec })
  table.delete('first')
  const ids = table.match('trade', 'simulated', 'A-USD').map(({ id }) => id)
  assert.deepEqual(ids, ['second'])
  assert.deepEqual(table.match('trade', 'simulated', 'B-USD'), [])
})
