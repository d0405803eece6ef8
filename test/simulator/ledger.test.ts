import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Ledger } from '../../src/simulator/ledger.ts'
import { DEFAULT_MARKETS } from '../../src/simulator/markets.ts'
import { startSimulator } from '../../src/simulator/simulator.ts'
import {
  asLedgerLine,
  Client,
  call,
  type LedgerLine,
  marketOf,
  readLedger,
  simulate,
  temporaryFile,
} from './client.ts'

const SUBS = DEFAULT_MARKETS.map((market) => `0~${market.wireExchange}~${market.base}~${market.quote}`)

function key(line: LedgerLine): string {
  return `${line.exchange}:${line.symbol}`
}

function byMarket(lines: readonly LedgerLine[]): Map<string, LedgerLine[]> {
  return Map.groupBy(lines, key)
}

describe('the ledger holds what was emitted', () => {
  for (const seed of [1, 2, 77]) {
    test(`equals what a client received, in order, and what others got while they came and went (seed ${seed})`, async (t) => {
      const path = await temporaryFile(t, 'ledger.jsonl')
      const events = 6_000
      const simulator = await simulate(t, { seed, rate: 8_000, events, ledger: path, quoteMillis: 50 })
      const steady = await Client.open(t, simulator)
      steady.add(...SUBS)
      await steady.message('3')

      // Each visitor stays for a while: its trades of each market must be a piece of the ledger without a hole.
      const visitors: Client[] = []
      while (steady.trades().length < events) {
        const visitor = await Client.open(t, simulator)
        visitors.push(visitor)
        visitor.add(...SUBS)
        const until = Math.min(events, steady.trades().length + 300)
        await steady.until(`${until} trades`, () => steady.trades().length >= until)
        if (visitors.length % 2 === 0) visitor.websocket.terminate()
        else visitor.remove(...SUBS)
      }
      await simulator.done

      const ledger = await readLedger(path)
      assert.equal(ledger.length, events)
      assert.deepEqual(steady.trades().map(asLedgerLine), ledger)
      const expected = byMarket(ledger)
      assert.ok(visitors.some((visitor) => visitor.trades().length > 0))
      for (const [number, visitor] of visitors.entries()) {
        for (const [market, trades] of byMarket(visitor.trades().map(asLedgerLine))) {
          const whole = expected.get(market) ?? []
          const from = whole.findIndex((line) => line.id === trades[0]?.id)
          assert.deepEqual(trades, whole.slice(from, from + trades.length), `visitor ${number}, ${market}`)
        }
      }
    })
  }

  test('has each id once, and times in microseconds that go up', async (t) => {
    const path = await temporaryFile(t, 'ledger.jsonl')
    const simulator = await simulate(t, { rate: 20_000, events: 5_000, ledger: path })
    const before = Date.now()
    const client = await Client.open(t, simulator)
    client.add(...SUBS)
    await simulator.done
    const ledger = await readLedger(path)
    assert.equal(new Set(ledger.map((line) => `${key(line)} ${line.id}`)).size, 5_000)
    let last = before * 1000 - 1
    for (const { ts } of ledger) {
      assert.ok(Number.isInteger(ts) && ts > last, `${ts} after ${last}`)
      last = ts
    }
    assert.ok(last <= (Date.now() + 5) * 1000, 'the last time lies in the future')
  })

  test('goes on while nobody is connected, and begins with the first subscription', async (t) => {
    const path = await temporaryFile(t, 'ledger.jsonl')
    const simulator = await simulate(t, {
      rate: 5_000,
      events: 2_000,
      ledger: path,
      markets: ['kraken:ETH-USD'],
    })
    await call(simulator, '/data/price?fsym=ETH&tsyms=USD')
    assert.equal((await simulator.stats()).markets, 0, 'REST does not begin a walk')
    const client = await Client.open(t, simulator)
    client.add('0~Kraken~ETH~USD')
    await client.until('trades', () => client.trades().length > 0)
    client.websocket.terminate()
    await simulator.done
    assert.equal((await readLedger(path)).length, 2_000)
    assert.ok(client.trades().length < 2_000)
  })

  test('is appended to by a restart, which repeats no id', async (t) => {
    const path = await temporaryFile(t, 'ledger.jsonl')
    for (let run = 0; run < 3; run++) {
      const simulator = await simulate(t, {
        rate: 20_000,
        events: 500,
        ledger: path,
        markets: ['coinbase:BTC-USD'],
      })
      const client = await Client.open(t, simulator)
      client.add('0~Coinbase~BTC~USD')
      await simulator.done
      const sequences = client.trades().map((trade) => Number(trade['CCSEQ']))
      assert.deepEqual(
        sequences,
        sequences.toSorted((a, b) => a - b),
      )
      await simulator.close()
    }
    const ledger = await readLedger(path)
    assert.equal(ledger.length, 1_500)
    assert.equal(new Set(ledger.map((line) => line.id)).size, 1_500)
    const times = ledger.map((line) => line.ts)
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    )
  })

  test('holds at close what was emitted, also when the walk is stopped in the middle', async (t) => {
    const path = await temporaryFile(t, 'ledger.jsonl')
    const simulator = await simulate(t, { rate: 20_000, ledger: path, markets: ['binance:BTC-USDT'] })
    const client = await Client.open(t, simulator)
    client.add('0~Binance~BTC~USDT')
    await client.until('trades', () => client.trades().length > 300)
    await simulator.close()
    const { emitted, ended } = await simulator.stats()
    assert.equal((await readLedger(path)).length, emitted)
    assert.equal(ended, false)
  })

  test('goes on after its timer found nothing left to write', async (t) => {
    const path = await temporaryFile(t, 'ledger.jsonl')
    const ledger = await Ledger.open(path)
    t.mock.timers.enable({ apis: ['setTimeout'] })
    ledger.append('{"a":1}\n')
    t.mock.timers.tick(1_000)
    // The write that has begun takes this line too, so that the timer it sets is one too many.
    ledger.append('{"b":2}\n')
    while ((await readFile(path, 'utf8')).length < 16) await setImmediate()
    t.mock.timers.tick(1_000)
    ledger.append('{"c":3}\n')
    await ledger.flush()
    assert.deepEqual(await readLedger(path), [{ a: 1 }, { b: 2 }, { c: 3 }])
    await ledger.close()
  })

  test('that cannot be written ends the emission and is told', async (t) => {
    await assert.rejects(simulate(t, { ledger: '/nowhere/at/all/ledger.jsonl' }), {
      code: 'DATA_FOLDER_UNUSABLE',
    })
    const simulator = await startSimulator({ ledger: '/dev/full', rate: 5_000 }).catch(() => undefined)
    if (!simulator) {
      t.diagnostic('skipped in part: there is no /dev/full here')
      return
    }
    const client = await Client.open(t, simulator)
    client.add(...SUBS)
    await assert.rejects(simulator.done, { code: 'DATA_FOLDER_UNUSABLE' })
    await assert.rejects(simulator.close(), { code: 'DATA_FOLDER_UNUSABLE' })
  })
})

describe('the seed decides the walk', () => {
  async function walk(t: Parameters<typeof simulate>[0], seed: number): Promise<LedgerLine[]> {
    const simulator = await simulate(t, { seed, rate: 20_000, events: 4_000 })
    const client = await Client.open(t, simulator)
    client.add(...SUBS)
    await client.until('all trades', () => client.trades().length === 4_000)
    return client.trades().map(asLedgerLine)
  }

  test('the same seed gives the same trades in the same order, apart from ids and times', async (t) => {
    const [first, second, other] = [await walk(t, 5), await walk(t, 5), await walk(t, 6)]
    const bare = (lines: LedgerLine[]) => lines.map(({ id: _, ts: __, ...line }) => line)
    assert.deepEqual(bare(first), bare(second))
    assert.notDeepEqual(bare(first), bare(other))
  })

  test('trades look like trades: many markets, bursts, both sides, prices near each other on all exchanges', async (t) => {
    const trades = await walk(t, 3)
    const markets = byMarket(trades)
    assert.ok(markets.size >= 20, `${markets.size} markets`)
    const exchanges = new Set(trades.map((trade) => trade.exchange))
    assert.deepEqual([...exchanges].sort(), ['binance', 'bitstamp', 'coinbase', 'kraken'])
    assert.deepEqual([...new Set(trades.map((trade) => trade.side))].sort(), ['buy', 'sell', 'unknown'])
    const counts = [...markets.values()].map((lines) => lines.length)
    assert.ok(Math.max(...counts) > 50 * Math.min(...counts), 'some markets are quiet')

    const busiest = markets.get('binance:BTC-USDT') ?? []
    const gaps = busiest.slice(1).map((trade, i) => trade.ts - (busiest[i]?.ts ?? 0))
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length
    const short = gaps.filter((gap) => gap < mean / 5).length / gaps.length
    assert.ok(short > 0.4, `trades are clustered in time: ${short} of the gaps are short`)

    const last = (market: string) => markets.get(market)?.at(-1)?.price ?? Number.NaN
    for (const exchange of ['kraken', 'bitstamp']) {
      const ratio = last(`${exchange}:BTC-USD`) / last('coinbase:BTC-USD')
      assert.ok(Math.abs(ratio - 1) < 0.002, `${exchange} BTC-USD is at ${ratio} of coinbase`)
    }
    const cross = last('coinbase:ETH-USD') / last('coinbase:BTC-USD') / last('coinbase:ETH-BTC')
    assert.ok(Math.abs(cross - 1) < 0.003, `ETH-BTC fits ETH-USD and BTC-USD: ${cross}`)
  })

  test('numbers are decimals that JSON holds exactly', async (t) => {
    const simulator = await simulate(t, { rate: 20_000, events: 3_000 })
    const client = await Client.open(t, simulator)
    client.add(...SUBS)
    await client.until('all trades', () => client.trades().length === 3_000)
    const decimals = new Map(
      DEFAULT_MARKETS.map((market) => [`${market.wireExchange}~${market.base}~${market.quote}`, market]),
    )
    for (const trade of client.trades()) {
      const market = decimals.get(marketOf(trade))
      assert.ok(market)
      const [price, size] = [trade['P'] as number, trade['Q'] as number]
      assert.equal(price, Number(price.toFixed(market.priceDecimals)))
      assert.equal(size, Number(size.toFixed(market.sizeDecimals)))
      assert.ok(size > 0 && price > 0)
      assert.ok(Math.abs((trade['TOTAL'] as number) / (price * size) - 1) < 1e-12)
    }
  })

  test('a market that subscribes later joins without changing the others', async (t) => {
    const run = async (late: boolean) => {
      const simulator = await simulate(t, {
        seed: 9,
        rate: 4_000,
        markets: ['coinbase:BTC-USD', 'kraken:BTC-USD'],
      })
      const client = await Client.open(t, simulator)
      client.add('0~Coinbase~BTC~USD')
      if (late) {
        await client.until('trades', () => client.trades().length > 100)
        client.add('0~Kraken~BTC~USD')
      }
      await client.until('trades', () => client.trades('Coinbase~BTC~USD').length >= 800)
      await simulator.close()
      return client
        .trades('Coinbase~BTC~USD')
        .slice(0, 800)
        .map((trade) => [trade['P'], trade['Q'], trade['F']])
    }
    assert.deepEqual(await run(true), await run(false))
  })
})
