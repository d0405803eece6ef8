import assert from 'node:assert/strict'
import { test } from 'node:test'
import { matchesMarket, RoutingTable } from '../../src/domain/routing.ts'
import type { StreamSpec } from '../../src/domain/stream-spec.ts'
import { seededRandom } from '../../src/simulator/random.ts'
import { assertLevel } from '../leaks/level.ts'
import { SEED } from '../seed.ts'

const spec: StreamSpec = { channel: 'trade', symbols: ['A*'], exchanges: [] }

const tableWith = (...ids: string[]): RoutingTable<{ readonly id: string; readonly spec: StreamSpec }> => {
  const table = new RoutingTable<{ readonly id: string; readonly spec: StreamSpec }>()
  for (const id of ids) table.set(id, { id, spec })
  return table
}

test('the table keeps answers for so many markets, however many pass', async () => {
  const table = tableWith('s')
  let passed = 0
  const pass = (): void => {
    for (let i = 0; i < 60_000; i++) table.match('trade', 'simulated', `A${passed++}-USD`)
  }
  await assertLevel(pass, { mostBytes: 4_000_000, what: '60,000 more markets' })
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

/** A spec that counts how often somebody looks at its symbols. */
const watchedSpec = (symbols: readonly string[], look: () => void): StreamSpec => ({
  ...spec,
  get symbols() {
    look()
    return symbols
  },
})

test('a change of a route looks at no market that is known, and each route is made ready once', () => {
  const table = new RoutingTable<{ readonly spec: StreamSpec }>()
  for (let i = 0; i < 10_000; i++) table.match('trade', 'simulated', `A${i}-USD`)
  let looks = 0
  const watched = watchedSpec(['A*'], () => looks++)
  table.set('s', { spec: watched })
  table.delete('s')
  table.set('s', { spec: watched })
  const ready = looks
  assert.equal(table.match('trade', 'simulated', 'A7-USD').length, 1)
  for (let i = 0; i < 1_000; i++) table.match('trade', 'simulated', `A${i}-EUR`)
  assert.ok(ready <= 4 && looks === ready, `${ready} looks for two routes, ${looks} in all`)
})

test('the first event of a market looks at no route that names other symbols only', () => {
  const table = new RoutingTable<{ readonly spec: StreamSpec }>()
  let looks = 0
  for (let i = 0; i < 10_000; i++) {
    const exchanges = { includes: () => ++looks > 0, length: 1 } as unknown as readonly string[]
    table.set(`s${i}`, { spec: { ...spec, symbols: [`A${i}-USD`], exchanges } })
  }
  assert.equal(table.match('trade', 'simulated', 'A7-USD').length, 1)
  assert.equal(looks, 1)
})

test(`the table answers as if each route were looked at, whatever was changed in between (seed ${SEED})`, () => {
  const random = seededRandom(`routing ${SEED}`)
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T
  const table = new RoutingTable<{ readonly spec: StreamSpec }>()
  const naive = new Map<string, { readonly spec: StreamSpec }>()
  const symbols = ['A-USD', 'B-USD', 'AB-EUR', 'C-EUR']
  for (let step = 0; step < 2_000; step++) {
    // Now and then more changes than are kept.
    const changes = step % 200 === 199 ? 2_500 : Math.floor(random() * 4)
    for (let change = 0; change < changes; change++) {
      const id = `route-${Math.floor(random() * 30)}`
      naive.delete(id)
      if (random() < 0.4) {
        table.delete(id)
        continue
      }
      const route = { spec: { ...spec, symbols: [pick(['A*', '*-EUR', 'B-USD', '*', 'C-*'])] } }
      table.set(id, route)
      naive.set(id, route)
    }
    const symbol = pick(symbols)
    const expected = [...naive.values()].filter((route) => matchesMarket(route.spec, 'trade', 'x', symbol))
    assert.deepEqual(table.match('trade', 'x', symbol), expected, `step ${step}, ${symbol}`)
  }
})
