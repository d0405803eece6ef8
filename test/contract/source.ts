import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { checkEvent } from '../../src/domain/event-codec.ts'
import type { Quote, Trade } from '../../src/domain/events.ts'
import {
  type Market,
  type NextOptions,
  type Source,
  type SourceItem,
  sourceOf,
} from '../../src/ports/source.ts'

/** A ticker as the service has it: what it says of the market's prices. `null` is a side without orders. */
export interface TickerLine {
  readonly ticker: {
    readonly bid?: number | null
    readonly ask?: number | null
    readonly last?: number
    readonly volume24h?: unknown
  }
  readonly symbol: string
  /** Microseconds, of whole seconds. */
  readonly ts: number
}

/**
 * A trade as the service has it, without the time of arrival; a ticker; a frame that is none of its protocol; one whose bytes are
 * no UTF-8, a trade otherwise; or the end of a connection, after which another one opens.
 */
export type ScriptLine = Omit<Trade, 'recvTs'> | TickerLine | 'garbage' | 'no-utf8' | 'reconnect'

/** What a service sends, in this order, to whoever asks for its markets. */
interface Script {
  readonly markets: readonly Market[]
  readonly lines: readonly ScriptLine[]
  /** What comes then: nothing, for longer than a test lasts, or the end (finite sources only). */
  readonly after: 'silence' | 'end'
}

export interface SourceUnderTest {
  /** Opens a source on a service that follows the script; all of it is gone when the test ends. */
  readonly open: (t: TestContext, script: Script) => Promise<Source>
  readonly way: 'websocket' | 'replay'
  /** One that the source has. */
  readonly exchange: string
  readonly finite: boolean
  /** Ids rise by one in each market, so that a late trade comes in its place. */
  readonly idsRise: boolean
  /** The service tells the best prices of both sides each time, and nothing else. */
  readonly bestOnly?: true
  /**
   * A library of others reads the bytes, and gives what it has when it is asked: what is no text may cost its connection, the order between markets is its
   * own, and it gives the last of several quotes.
   */
  readonly foreignClient?: true
}

function next(source: Source, options: Partial<NextOptions> = {}, signal = AbortSignal.timeout(15_000)) {
  return source.next({ maxItems: 1_000, lingerMs: 0, waitMs: 10_000, ...options }, signal)
}

/** Pulls until there are `count` trades; gives everything. */
async function pullTrades(
  source: Source,
  count: number,
  options: Partial<NextOptions> = {},
): Promise<SourceItem[]> {
  const items: SourceItem[] = []
  while (tradesOf(items).length < count) {
    const batch = await next(source, options)
    assert.ok(batch.items.length > 0, `nothing came after ${tradesOf(items).length} of ${count} trades`)
    items.push(...batch.items)
  }
  return items
}

function tradesOf(items: readonly SourceItem[]): Trade[] {
  return items.flatMap((item) => (item.channel === 'trade' ? [item.event] : []))
}

function quotesOf(items: readonly SourceItem[]): Quote[] {
  return items.flatMap((item) => (item.channel === 'quote' ? [item.event] : []))
}

/** What every source promises; runs on each adapter. */
export function describeSource(
  name: string,
  { open, way, exchange, finite, idsRise, bestOnly, foreignClient }: SourceUnderTest,
): void {
  const BTC: Market = { exchange, symbol: 'BTC-USD' }
  const ETH: Market = { exchange, symbol: 'ETH-USD' }
  const trade = (id: number, market = BTC): Omit<Trade, 'recvTs'> => ({
    ...market,
    id: String(id),
    side: id % 2 === 0 ? 'buy' : 'sell',
    price: 100 + id / 4,
    size: 0.5,
    ts: 1_753_190_418_654_000 + id * 1_000,
  })
  const quiet = (lines: readonly ScriptLine[]): Script => ({ markets: [BTC, ETH], lines, after: 'silence' })

  describe(`source contract: ${name}`, () => {
    test('says that it connected, and that something may have been missed, before the first event', async (t) => {
      const source = await open(t, quiet([trade(1)]))
      const [first] = await pullTrades(source, 1)
      assert.ok(first?.channel === 'connection', 'the first item is a connection change')
      assert.deepEqual(
        { state: first.status.state, source: first.status.source, mayHaveMissed: first.mayHaveMissed },
        { state: 'connected', source: sourceOf(source, BTC), mayHaveMissed: true },
      )
      checkEvent('status', first.status)
    })

    test('gives every trade, in the order of arrival, in the form of the contract', async (t) => {
      const [numbers, others] = [{ id: 0 }, { id: 100 }]
      const lines = Array.from({ length: 50 }, (_, i) => {
        const market = i % 3 === 0 ? ETH : BTC
        const id = String((market === ETH ? numbers : others).id++)
        return { ...trade(i, market), id }
      })
      const source = await open(t, quiet(lines))
      const trades = tradesOf(await pullTrades(source, lines.length))
      const ordered = (all: readonly (typeof lines)[number][]) =>
        foreignClient
          ? all.toSorted((a, b) => Number(a.symbol > b.symbol) - Number(a.symbol < b.symbol))
          : all
      assert.deepEqual(ordered(trades.map(({ recvTs: _, ...rest }) => rest)), ordered(lines))
      for (const event of trades) checkEvent('trade', event)
    })

    test('gives at most maxItems, and the rest in order afterwards', async (t) => {
      const lines = Array.from({ length: 40 }, (_, i) => trade(i))
      const source = await open(t, quiet(lines))
      const ids: string[] = []
      while (ids.length < lines.length) {
        const { items } = await next(source, { maxItems: 7, lingerMs: 1 })
        assert.ok(items.length > 0 && items.length <= 7, `a batch of ${items.length}`)
        ids.push(...tradesOf(items).map(({ id }) => id))
      }
      assert.deepEqual(
        ids,
        lines.map((line) => line.id),
      )
    })

    test('gathers what comes within the linger', async (t) => {
      const lines = Array.from({ length: 30 }, (_, i) => trade(i))
      const source = await open(t, quiet(lines))
      // The batch is full with the change and the trades, so the linger ends with them.
      const { items } = await next(source, { maxItems: lines.length + 1, lingerMs: 10_000 })
      assert.equal(tradesOf(items).length, lines.length)
    })

    test('gives an empty batch when nothing comes within the wait', async (t) => {
      const source = await open(t, quiet([trade(1)]))
      await pullTrades(source, 1)
      assert.deepEqual((await next(source, { waitMs: 10 })).items, [])
      assert.equal(source.ended, false)
    })

    test('an aborted pull rejects and loses nothing', async (t) => {
      const source = await open(t, quiet([trade(1), trade(2)]))
      const abort = new AbortController()
      const pulled = next(source, { lingerMs: 10_000 }, abort.signal)
      abort.abort(new Error('the test aborts'))
      await assert.rejects(pulled, /the test aborts/)
      const trades = tradesOf(await pullTrades(source, 2))
      assert.deepEqual(
        trades.map(({ id }) => id),
        ['1', '2'],
      )
    })

    test('counts what cannot be read, and goes on', async (t) => {
      const source = await open(t, quiet([trade(1), 'garbage', 'garbage', trade(2)]))
      assert.equal(tradesOf(await pullTrades(source, 2)).length, 2)
      assert.equal(source.health().counters.malformed, 2)
    })

    test('keeps ids as they are, and refuses those that something would change on their way', async (t) => {
      const ids = ['a\u0000b', '\ud800', '\udfff', 'x\ud83dy', 'x'.repeat(129)]
      const odd = ids.map((id) => ({ ...trade(0), id }))
      const kept = ['\ud83d\ude00', '\u202eabc', 'x'.repeat(128)].map((id) => ({ ...trade(1), id }))
      const bytes = foreignClient ? [] : (['no-utf8'] as const)
      const source = await open(t, quiet([...odd, ...bytes, ...kept, trade(2)]))
      const trades = tradesOf(await pullTrades(source, kept.length + 1))
      assert.deepEqual(
        trades.map(({ id }) => id),
        [...kept.map(({ id }) => id), '2'],
      )
      assert.equal(source.health().counters.malformed, odd.length + bytes.length)
    })

    test('reads small numbers, however they are written', async (t) => {
      const small = { ...trade(1), price: 1e-8, size: 9.5e-5 }
      const source = await open(t, quiet([small]))
      const [read] = tradesOf(await pullTrades(source, 1))
      assert.deepEqual({ price: read?.price, size: read?.size }, { price: 1e-8, size: 9.5e-5 })
    })

    test('refuses what cannot have happened when it says; it changes no order', async (t) => {
      const never = [
        0,
        1_000_000,
        Date.UTC(2008, 11, 31) * 1000,
        Date.UTC(2035, 0) * 1000,
        Date.UTC(2255, 0) * 1000,
      ]
      const odd = never.map((ts, i) => ({ ...trade(i), ts, id: `odd-${i}` }))
      const source = await open(t, quiet([trade(1), ...odd, trade(2)]))
      const trades = tradesOf(await pullTrades(source, 2))
      assert.deepEqual(
        trades.map(({ id }) => id),
        ['1', '2'],
      )
      const { malformed, outOfOrder } = source.health().counters
      assert.deepEqual({ malformed, outOfOrder }, { malformed: odd.length, outOfOrder: 0 })
    })

    const at = (seconds: number, ticker: TickerLine['ticker']) => ({
      ticker,
      symbol: 'BTC-USD',
      ts: (1_753_190_400 + seconds) * 1_000_000,
    })

    test('a quote has the best prices: an empty side is none, also after a reconnect', async (t) => {
      const told = [
        { bid: 7.5, ask: 7.7 },
        { bid: null, ask: 7.7 },
        { bid: 7.5, ask: null },
        { bid: 7.4, ask: 7.8 },
        { bid: null, ask: 7.9 },
      ]
      const lines = told.map((ticker, second) => at(second, ticker))
      const source = await open(t, quiet([...lines.slice(0, 4), 'reconnect', ...lines.slice(4), trade(1)]))
      const quotes = quotesOf(await pullTrades(source, 1))
      const read = quotes.map(({ bid = null, ask = null }) => ({ bid, ask }))
      const last = JSON.stringify(read.at(-1))
      if (foreignClient)
        assert.ok(read.length > 0 && told.some((each) => JSON.stringify(each) === last), last)
      else assert.deepEqual(read, told)
      for (const event of quotes) checkEvent('quote', event)
    })

    if (!bestOnly) {
      test('a quote has what is known: an odd field costs itself alone', async (t) => {
        const source = await open(
          t,
          quiet([
            at(1, { bid: 7.5, ask: 7.7, last: 7.6, volume24h: 9 }),
            at(2, { bid: null, ask: 7.7, last: 7.61, volume24h: 'x' }),
            at(3, { bid: 7.5, ask: null, last: 7.62, volume24h: -1 }),
            at(1, { bid: 1, ask: 2, last: 1.5 }),
            at(4, { bid: 7.5, last: 7.63 }),
            'reconnect',
            at(5, { last: 7.64 }),
            trade(1),
          ]),
        )
        const quotes = quotesOf(await pullTrades(source, 1))
        assert.deepEqual(
          quotes.map(({ bid, ask, last, volume24h }) => ({ bid, ask, last, volume24h })),
          [
            { bid: 7.5, ask: 7.7, last: 7.6, volume24h: 9 },
            { bid: undefined, ask: 7.7, last: 7.61, volume24h: 9 },
            { bid: 7.5, ask: undefined, last: 7.62, volume24h: 9 },
            { bid: 7.5, ask: undefined, last: 7.63, volume24h: 9 },
            { bid: undefined, ask: undefined, last: 7.64, volume24h: undefined },
          ],
        )
        for (const event of quotes) checkEvent('quote', event)
        const { malformed, outOfOrder } = source.health().counters
        assert.deepEqual({ malformed, outOfOrder }, { malformed: 0, outOfOrder: 1 })
      })
    }

    test('passes on trades that are repeated or late, and counts them', async (t) => {
      const lines = [1, 2, 3, 2, 5, 4].map((id) => trade(id))
      const source = await open(t, quiet(lines))
      const trades = tradesOf(await pullTrades(source, lines.length))
      assert.deepEqual(
        trades.map(({ id }) => id),
        idsRise ? ['1', '2', '3', '2', '4', '5'] : lines.map(({ id }) => id),
      )
      const { duplicates, outOfOrder } = source.health().counters
      assert.deepEqual({ duplicates, outOfOrder }, { duplicates: 1, outOfOrder: 1 })
    })

    test('tells how it is doing', async (t) => {
      const source = await open(t, quiet([trade(1), trade(2, ETH)]))
      await pullTrades(source, 2)
      const health = source.health()
      assert.equal(health.name, source.name)
      assert.equal(health.way, way)
      assert.equal(health.markets, 2)
      assert.equal(health.failure, undefined)
      assert.ok(health.counters.frames >= 2)
      assert.equal(health.counters.dropped, 0)
    })

    test('takes and drops markets while it runs; the others go on', async (t) => {
      const source = await open(t, quiet([trade(1), trade(2, ETH)]))
      await pullTrades(source, 2)
      source.unsubscribe([ETH])
      source.unsubscribe([ETH, { exchange: 'nowhere', symbol: 'NONE-USD' }])
      assert.equal(source.health().markets, 1)
      source.subscribe([ETH, BTC])
      assert.equal(source.health().markets, 2)
    })

    test('close settles a pull, can be repeated, and nothing comes afterwards', async (t) => {
      const source = await open(t, quiet([trade(1)]))
      await pullTrades(source, 1)
      const pulled = next(source, { waitMs: 60_000 })
      await Promise.all([source.close(), source.close()])
      assert.deepEqual(tradesOf((await pulled).items), [])
      source.subscribe([BTC])
      source.unsubscribe([BTC])
      assert.deepEqual(tradesOf((await next(source, { waitMs: 10 })).items), [])
    })

    test('what arrived before close can still be pulled', async (t) => {
      const source = await open(t, quiet([trade(1), trade(2)]))
      const first = await next(source, { maxItems: 2, lingerMs: 10_000 })
      assert.equal(tradesOf(first.items).length, 1)
      while (source.health().counters.frames < 2) await next(source, { maxItems: 0, waitMs: 1 })
      await source.close()
      assert.deepEqual(
        tradesOf((await next(source, { waitMs: 10 })).items).map(({ id }) => id),
        ['2'],
      )
    })

    if (finite) {
      test('ends when everything was given', async (t) => {
        const lines = Array.from({ length: 10 }, (_, i) => trade(i))
        const source = await open(t, { markets: [BTC, ETH], lines, after: 'end' })
        const items: SourceItem[] = []
        while (!source.ended) items.push(...(await next(source, { maxItems: 4 })).items)
        assert.equal(tradesOf(items).length, lines.length)
        assert.deepEqual((await next(source, { waitMs: 5 })).items, [])
        assert.equal(source.ended, true)
      })
    }
  })
}
