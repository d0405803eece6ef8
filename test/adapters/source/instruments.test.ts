import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listInstruments } from '../../../src/adapters/source/feed/instruments.ts'
import type { SourceKind } from '../../../src/adapters/source/feed/source-kind.ts'
import { SOURCES } from '../../../src/adapters/source/index.ts'
import { LISTS } from './listings.ts'
import { type RestAnswer, Service } from './service.ts'

const wireOf = async (name: string) => {
  const kind: SourceKind = SOURCES[name as keyof typeof SOURCES]
  const wire = await kind.loadInstruments?.()
  assert.ok(wire, `${name} tells what it trades`)
  return wire
}

for (const [name, { path, body, expected }] of Object.entries(LISTS))
  test(`${name} tells what it trades`, async (t) => {
    const service = await Service.start(t, { rest: () => ({ body }) })
    const options = { rest: new URL(service.restUrl), timeoutMs: 10_000 }
    const listed = await listInstruments(await wireOf(name), options, t.signal)
    assert.equal(service.calls[0]?.url.pathname, path)
    assert.deepEqual(
      listed.map((each) => [each.symbol, each.name, each.tick, each.lot, each.isTrading]),
      expected,
    )
    assert.ok(listed.every(({ exchange }) => exchange === name))
  })

const BAD: readonly (readonly [string, RestAnswer | 'hang', string])[] = [
  ['a refusal', { status: 403, body: 'not from here' }, 'not from here'],
  ['what is no list', { body: { code: -1, msg: 'maintenance' } }, 'no markets'],
  ['what is no JSON', { body: '<html>' }, 'no markets'],
  ['no answer', 'hang', 'no answer within'],
]

for (const [what, answer, words] of BAD)
  test(`${what} instead of a list is an error with a code`, async (t) => {
    const service = await Service.start(t, { rest: () => answer })
    const options = { rest: new URL(service.restUrl), timeoutMs: answer === 'hang' ? 50 : 10_000 }
    await assert.rejects(listInstruments(await wireOf('binance'), options, t.signal), (error: Error) => {
      assert.match(String(Reflect.get(error, 'code')), /^SOURCE_/)
      assert.ok(error.message.includes(words), error.message)
      return true
    })
  })

test('what cannot be a market of ours is left out, and costs the others nothing', async (t) => {
  const row = (base: unknown, quote: unknown) => ({
    id: `${base}/${quote}`,
    base_currency: base,
    quote_currency: quote,
  })
  const body = [row('BTC', 'USD'), row('A*B', 'USD'), row('', 'USD'), row(7, 'USD'), row('币安', 'USD')]
  const service = await Service.start(t, { rest: () => ({ body }) })
  const options = { rest: new URL(service.restUrl), timeoutMs: 10_000 }
  const listed = await listInstruments(await wireOf('coinbase'), options, t.signal)
  assert.deepEqual(
    listed.map(({ symbol }) => symbol),
    ['BTC-USD', '币安-USD'],
  )
})
