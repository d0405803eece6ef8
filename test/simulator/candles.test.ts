import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { SOURCES } from '../../src/adapters/source/index.ts'
import type { Candle } from '../../src/domain/events.ts'
import { DIALECTS, type SimulatedExchange } from '../../src/simulator/exchanges/index.ts'
import { DEFAULT_MARKETS, marketsOfExchanges } from '../../src/simulator/markets.ts'
import { openOn } from '../adapters/source/opened.ts'
import { readLedger, simulate, temporaryFile } from './client.ts'
import { candlesOf, MINUTE_US } from './ledger-candles.ts'

const EVENTS = 600
/** So much faster the time of day goes than the clock. */
const FASTER = 12_000
/** What Kraken has at least, in minutes. */
const REACH = 700
/** Answers of these count the trades. */
const COUNTING: readonly string[] = ['binance', 'kraken']
/** Answers of these have no minutes in which nothing was traded. */
const SPARSE: readonly string[] = ['bitfinex', 'coinbase']

describe('candles of the past in the protocol of each exchange', { concurrency: 3 }, () => {
  for (const name of [...(Object.keys(DIALECTS) as SimulatedExchange[]), 'cryptocompare'] as const)
    test(`${name}: they are those of the trades that it told`, async (t) => {
      const [begun, base] = [performance.now(), Date.now() - 3 * 86_400_000]
      let ended: number | undefined
      const now = () => ended ?? base + (performance.now() - begun) * FASTER
      const ledger = await temporaryFile(t, 'ledger.jsonl')
      const isOwn = name !== 'cryptocompare'
      const markets = (
        isOwn
          ? marketsOfExchanges([name]).slice(0, 2)
          : DEFAULT_MARKETS.filter(({ exchange: of }) => of === 'coinbase').slice(0, 2)
      ).map(({ exchange: of, symbol }) => ({ exchange: of, symbol }))
      const simulator = await simulate(t, {
        ...{ events: EVENTS, rate: 900, ledger, now, exchanges: isOwn ? [name] : [] },
        markets: markets.map((each) => `${each.exchange}:${each.symbol}`),
      })
      const path = isOwn ? `/${name}` : ''
      const { source } = await openOn(
        t,
        SOURCES[name],
        {
          url: `ws://127.0.0.1:${simulator.port}${isOwn ? path : '/v2'}`,
          restUrl: `${simulator.url}${path}`,
        },
        { markets, channels: ['trade'], now: () => Math.floor(now() * 1_000), apiKey: 'k' },
      )
      await simulator.done
      // What is not over for a minute is not settled.
      ended = now() + 3 * 60_000
      const trades = await readLedger(ledger)
      for (const market of markets) {
        const own = trades.filter(({ symbol }) => symbol === market.symbol)
        const wanted = candlesOf(own)
        assert.ok(wanted.size > 10, `${wanted.size} minutes`)
        const [first, to] = [Math.min(...wanted.keys()), Math.max(...wanted.keys())]
        const from = Math.max(first, to - REACH * MINUTE_US)
        const found = new Map<number, Candle>()
        for await (const { events } of source.history?.(market, { from, to }, t.signal, 'candle') ?? [])
          for (const { channel, event } of events) if (channel === 'candle') found.set(event.ts, event)
        for (const [start, { trades: count, ...minute }] of wanted) {
          if (start < from) continue
          const { open, high, low, close, volume, trades: counted } = found.get(start) as Candle
          assert.deepEqual({ open, high, low, close, volume }, minute)
          assert.equal(counted, COUNTING.includes(name) ? count : undefined)
        }
        const idle = [...found.values()].filter(({ ts }) => !wanted.has(ts))
        if (SPARSE.includes(name)) assert.deepEqual(idle, [])
        else assert.equal(found.size, (to - from) / MINUTE_US + 1)
        for (const { open, high, low, close, volume } of idle)
          assert.deepEqual([high, low, close, volume], [open, open, open, 0])
      }
      assert.equal(source.health().counters.malformed, 0)
    })
})
