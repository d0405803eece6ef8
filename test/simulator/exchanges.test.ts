import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { WebSocket } from 'ws'
import type { SourceKind } from '../../src/adapters/source/feed/source-kind.ts'
import { SOURCES } from '../../src/adapters/source/index.ts'
import type { SourceItem } from '../../src/ports/source.ts'
import { DIALECTS, type SimulatedExchange } from '../../src/simulator/exchanges/index.ts'
import { marketsOfExchanges } from '../../src/simulator/markets.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import { openListing } from '../../src/topology/sources.ts'
import { BookReader } from '../adapters/source/books.ts'
import { openOn } from '../adapters/source/opened.ts'
import { eventsOf, pull } from '../adapters/source/waiting.ts'
import { readLedger, simulate, temporaryFile } from './client.ts'

const NAMES = Object.keys(DIALECTS) as SimulatedExchange[]
const EVENTS = 600

/** Sorted, so that two lists of trades can be compared. */
function sorted<T extends { symbol: string; id: string }>(trades: readonly T[]): T[] {
  return trades.toSorted((a, b) => (a.symbol + a.id < b.symbol + b.id ? -1 : 1))
}

for (const name of NAMES)
  describe(`the simulator as ${SOURCES[name].title}`, () => {
    const kind: SourceKind = SOURCES[name]
    const hasBooks = kind.channels.includes('book')

    for (const misbehave of [[], ['garbage', 'duplicate']])
      test(`our source reads every trade of the ledger, quotes and books${misbehave.length ? ', among garbage' : ''}`, async (t) => {
        const ledger = await temporaryFile(t, 'ledger.jsonl')
        const simulator = await simulate(t, {
          ...{ exchanges: [name], events: EVENTS, rate: 600, ledger, quoteMillis: 20, misbehave },
        })
        const markets = marketsOfExchanges([name]).map(({ exchange, symbol }) => ({ exchange, symbol }))
        const { source } = await openOn(
          t,
          kind,
          { url: `ws://127.0.0.1:${simulator.port}/${name}`, restUrl: `${simulator.url}/${name}` },
          { markets, channels: [...kind.channels], bookDepth: 10 },
        )
        const reader = new BookReader()
        let seen = 0
        const ids = new Set<string>()
        const isEnough = (items: readonly SourceItem[]) => {
          const fresh = items.slice(seen)
          seen = items.length
          if (misbehave.length === 0) reader.take(fresh)
          for (const { symbol, id } of eventsOf(fresh, 'trade')) ids.add(`${symbol} ${id}`)
          return ids.size >= EVENTS
        }
        const items = await pull(source, 'all trades are read', isEnough)
        await simulator.done
        const unique = new Map(
          eventsOf(items, 'trade').map(({ recvTs: _, ...trade }) => [`${trade.symbol} ${trade.id}`, trade]),
        )
        const emitted = (await readLedger(ledger)).map(({ exchange, symbol, id, side, price, size, ts }) => ({
          ...{ exchange, symbol, id, side, price, size, ts },
        }))
        assert.deepEqual(sorted([...unique.values()]), sorted(emitted))
        const quotes = eventsOf(items, 'quote')
        assert.ok(quotes.length > 0)
        for (const { bid = 0, ask = Number.POSITIVE_INFINITY } of quotes) assert.ok(bid < ask)
        const { malformed, frames } = source.health().counters
        if (misbehave.length > 0) {
          assert.ok(malformed > 0 && malformed < frames)
          return
        }
        assert.equal(malformed, 0)
        assert.deepEqual(source.health().without, [])
        if (!hasBooks) return
        assert.deepEqual(reader.doubts, [])
        const without = markets.filter(({ symbol }) => !reader.isValid(symbol))
        // A snapshot by REST is a book once something has changed after it, which takes its time in a quiet market.
        if (DIALECTS[name].books.snapshot) assert.deepEqual(without, [])
        else assert.ok(without.length < markets.length)
      })
  })

/** Gemini lists its markets one by one. */
for (const name of NAMES.filter((each) => each !== 'gemini'))
  test(`${SOURCES[name].title} lists what it trades`, async (t) => {
    const simulator = await simulate(t, { exchanges: [name] })
    const list = await openListing({ kind: name, restUrl: `${simulator.url}/${name}` })
    const listed = (await list?.(t.signal)) ?? []
    const symbols = marketsOfExchanges([name]).map(({ symbol }) => symbol)
    assert.deepEqual(listed.map(({ symbol }) => symbol).toSorted(), symbols.toSorted())
    for (const { tick, lot, isTrading } of listed) {
      assert.ok(isTrading)
      // Bitfinex has no steps.
      if (name === 'bitfinex') assert.deepEqual([tick, lot], [null, null])
      else assert.ok(Number(tick) > 0 && Number(lot) > 0, `${tick} ${lot}`)
    }
  })

test('who asks for more than the exchange allows is cut off', async (t) => {
  const simulator = await simulate(t, { exchanges: ['binance'] })
  const socket = new WebSocket(`ws://127.0.0.1:${simulator.port}/binance`)
  await once(socket, 'open')
  for (let id = 0; id < 20; id++) socket.send(JSON.stringify({ method: 'LIST_SUBSCRIPTIONS', id }))
  const [code] = await once(socket, 'close')
  assert.equal(code, 1008)
})

test('an exchange that it does not speak for is refused', async () => {
  await assert.rejects(startSimulator({ exchanges: ['nowhere'] }), { code: 'CONFIG_INVALID' })
})
