import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { cryptocompare } from '../../../src/adapters/source/cryptocompare/source.ts'
import { checkEvent } from '../../../src/domain/event-codec.ts'
import type { Trade } from '../../../src/domain/events.ts'
import { type SimulatorOptions, startSimulator } from '../../../src/simulator/simulator.ts'
import { API_KEY } from './cryptocompare-fixtures.ts'
import { type Opening, openOn } from './opened.ts'
import { changesOf, eventsOf, failureOf, pull } from './waiting.ts'

const MARKETS = ['coinbase:BTC-USD', 'kraken:ETH-USD']

/** A simulator and a source on it. */
async function start(t: TestContext, simulated: Partial<SimulatorOptions> = {}, changes: Opening = {}) {
  const simulator = await startSimulator({
    seed: 1,
    rate: 500,
    quoteMillis: 20,
    markets: MARKETS,
    ...simulated,
  })
  t.after(() => simulator.close())
  const service = { url: simulator.websocketUrl, restUrl: simulator.url }
  const { source } = await openOn(t, cryptocompare, service, {
    apiKey: API_KEY,
    markets: MARKETS.map((name) => {
      const [exchange = '', symbol = ''] = name.split(':')
      return { exchange, symbol }
    }),
    ...{ reconnect: 20, reconnectMax: 100, timeout: 300, fallbackAfter: 100, pollEvery: 50 },
    ...changes,
  })
  return { simulator, source }
}

function connected(source: Parameters<typeof pull>[0]) {
  return pull(source, 'it connects and trades arrive', (all) => eventsOf(all, 'trade').length > 0)
}

describe('CryptoCompare against the simulator', () => {
  test('every trade of the ledger arrives once, whatever is repeated, swapped or mixed in', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'tapeline-ledger-'))
    t.after(() => rm(folder, { recursive: true }))
    const ledger = join(folder, 'ledger')
    const misbehave = ['duplicate', 'out-of-order', 'garbage']
    // A connection that is slow to begin must not be given up: what it misses is not repeated.
    const patient = { timeout: 10_000, fallbackAfter: 10_000 }
    const { simulator, source } = await start(t, { ledger, events: 1_000, rate: 5_000, misbehave }, patient)
    const ids = new Set<string>()
    const items = await pull(source, 'all trades arrive', (all) => {
      for (const { exchange, symbol, id } of eventsOf(all.slice(-10_000), 'trade'))
        ids.add(`${exchange}:${symbol}:${id}`)
      return ids.size === 1_000
    })
    await simulator.done
    const emitted = (await readFile(ledger, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Trade)
    const arrived = new Map(
      eventsOf(items, 'trade').map(({ recvTs: _, ...event }) => [
        `${event.exchange}:${event.symbol}:${event.id}`,
        event,
      ]),
    )
    assert.deepEqual(
      [...arrived].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, event]) => event),
      emitted
        .toSorted((a, b) =>
          `${a.exchange}:${a.symbol}:${a.id}` < `${b.exchange}:${b.symbol}:${b.id}` ? -1 : 1,
        )
        .map(({ exchange, symbol, id, side, price, size, ts }) => ({
          exchange,
          symbol,
          id,
          side,
          price,
          size,
          ts,
        })),
    )
    for (const item of items)
      if (item.channel !== 'connection' && item.channel !== 'last-trade') checkEvent(item.channel, item.event)
    const { malformed, duplicates, outOfOrder } = source.health().counters
    assert.ok(malformed > 0 && duplicates > 0 && outOfOrder > 0, JSON.stringify(source.health().counters))
  })

  for (const [mode, code] of [
    ['drop', 'SOURCE_UNAVAILABLE'],
    ['close', 'SOURCE_UNAVAILABLE'],
    ['stall', 'SOURCE_STALE'],
    ['401', 'SOURCE_UNAUTHORIZED'],
    ['429', 'SOURCE_RATE_LIMITED'],
  ] as const) {
    test(`${mode}: next rejects with ${code}, and trades come again when it is over`, async (t) => {
      const changes = { staleAfter: 200, channels: ['trade'] } as const
      const { simulator, source } = await start(t, { heartbeatSeconds: 0.05 }, changes)
      await connected(source)
      await simulator.misbehave([mode])
      assert.equal((await failureOf(source)).code, code)
      await simulator.misbehave([])
      const items = await pull(source, 'trades come again', (all) => eventsOf(all, 'trade').length > 20)
      assert.ok(changesOf(items).includes('connected+'))
      assert.equal(source.health().failure, undefined)
    })

    test(`ws-${mode}: quotes come by REST, and by WebSocket again when it is over`, async (t) => {
      const { simulator, source } = await start(t, { heartbeatSeconds: 0.05 }, { staleAfter: 200 })
      await connected(source)
      await simulator.misbehave([`ws-${mode}`])
      await pull(source, 'REST delivers', () => source.health().way === 'rest')
      await pull(source, 'quotes', (all) => eventsOf(all, 'quote').length > 0)
      await simulator.misbehave([])
      const items = await pull(source, 'trades come again', (all) => eventsOf(all, 'trade').length > 20)
      assert.ok(changesOf(items).includes('recovered+'))
      assert.equal(source.health().way, 'websocket')
    })
  }

  test('a market that the service does not have is reported, and the others flow', async (t) => {
    const { source } = await start(t)
    source.subscribe([{ exchange: 'coinbase', symbol: 'NONE-USD' }])
    const items = await pull(source, 'the report', (all) => eventsOf(all, 'status').length > 0)
    assert.match(eventsOf(items, 'status')[0]?.detail ?? '', /^MARKET_UNKNOWN/)
    await connected(source)
  })
})
