import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { SourceItem } from '../../../src/ports/source.ts'
import { SPEAKERS } from './exchanges.ts'
import { openOn } from './opened.ts'
import { Service, sendFrame } from './service.ts'
import { eventsOf, pull, until } from './waiting.ts'

const MARKETS = ['A', 'B', 'C', 'D', 'E'].map((base) => ({ exchange: 'okx', symbol: `${base}-USD` }))
const TS = 1_753_190_418_000_000

/** OKX with room for two markets on a connection, and a service that sends trade 1 of each market that a connection asks for. */
async function openSpread(t: TestContext) {
  const okx = SPEAKERS.find(({ kind }) => kind.name === 'okx')
  assert.ok(okx)
  const askedOn: string[][] = []
  const connections = new Map<unknown, string[]>()
  const trade = (symbol: string, id: number) =>
    okx.frame({ exchange: 'okx', symbol, id: String(id), side: 'buy', price: 1, size: 1, ts: TS + id })
  const service = await Service.start(t, {
    connected(socket) {
      const asked: string[] = []
      connections.set(socket, asked)
      askedOn.push(asked)
    },
    received(asked, socket) {
      const names = okx.asks(asked)
      if (names === undefined) return
      for (const each of okx.answer(asked, [])) sendFrame(socket, each)
      if (asked['op'] !== 'subscribe') return
      for (const { symbol } of MARKETS.filter((market) => names.includes(okx.name(market.symbol)))) {
        connections.get(socket)?.push(symbol)
        sendFrame(socket, trade(symbol, 1))
      }
    },
  })
  const kind = { ...okx.kind, mostSubscriptions: 2 }
  const { source } = await openOn(t, kind, service, { channels: ['trade'], reconnect: 20 })
  return { source, service, askedOn, trade }
}

const symbolsOf = (items: readonly SourceItem[]) => eventsOf(items, 'trade').map(({ symbol }) => symbol)

test('more markets than one connection takes go over further ones, and a free place is taken again', async (t) => {
  const { source, askedOn } = await openSpread(t)
  source.subscribe(MARKETS)
  const items = await pull(source, 'all markets deliver', (all) => new Set(symbolsOf(all)).size === 5)
  assert.equal(symbolsOf(items).length, 5, 'each is asked for once')
  assert.deepEqual(askedOn.map((asked) => asked.length).toSorted(), [1, 2, 2])
  assert.equal(source.health().markets, 5)
  assert.deepEqual(
    source.health().members?.map(({ name }) => name),
    ['okx', 'okx-2', 'okx-3'],
  )
  source.unsubscribe(MARKETS.slice(0, 1))
  source.subscribe([{ exchange: 'okx', symbol: 'A-USD' }, ...MARKETS.slice(1)])
  await pull(source, 'it delivers again', (all) => symbolsOf(all).includes('A-USD'))
  assert.equal(askedOn.length, 3)
})

test('one connection that is cut concerns its own markets alone', async (t) => {
  const { source, service, askedOn, trade } = await openSpread(t)
  source.subscribe(MARKETS)
  await pull(source, 'all markets deliver', (all) => new Set(symbolsOf(all)).size === 5)
  const [cut, ...others] = service.sockets
  const before = askedOn.length
  cut?.terminate()
  for (const { symbol } of MARKETS) for (const other of others) sendFrame(other, trade(symbol, 2))
  const items = await pull(source, 'it is back', (all) =>
    all.some((item) => item.channel === 'connection' && item.mayHaveMissed === true),
  )
  await until('it asks again', () => askedOn.length === before + 1 && (askedOn[before]?.length ?? 0) > 0)
  const concerned = items.flatMap((item) =>
    item.channel === 'connection' ? [(item.of ?? []).map(({ symbol }) => symbol)] : [],
  )
  assert.ok(concerned.length >= 2)
  for (const symbols of concerned) assert.deepEqual(symbols, askedOn[before])
})
