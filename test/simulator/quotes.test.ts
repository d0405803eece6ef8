import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { asLedgerLine, Client, call, type LedgerLine, type Message, simulate } from './client.ts'

const MINUTE = 60_000

/** A clock that is this many ms before the start of an hour now. */
function clockBeforeHour(millis: number): () => number {
  const offset = 60 * MINUTE - (Date.now() % (60 * MINUTE)) - millis
  return () => Date.now() + offset
}

/** The candle of trades, as TYPE 24 says it, without its name. */
function candleOf(trades: readonly LedgerLine[]): Record<string, number> {
  const prices = trades.map((trade) => trade.price)
  const sum = (value: (trade: LedgerLine) => number) =>
    trades.reduce((total, trade) => total + value(trade), 0)
  return {
    OPEN: prices[0] ?? Number.NaN,
    HIGH: Math.max(...prices),
    LOW: Math.min(...prices),
    CLOSE: prices.at(-1) ?? Number.NaN,
    VOLUMEFROM: Math.round(sum((trade) => trade.size) * 1e6) / 1e6,
    VOLUMETO: Math.round(sum((trade) => trade.size * trade.price) * 1e2) / 1e2,
    TOTALTRADES: trades.length,
  }
}

function stated(candle: Message): Record<string, number> {
  const numbers = Object.fromEntries(
    ['OPEN', 'HIGH', 'LOW', 'CLOSE', 'VOLUMEFROM', 'VOLUMETO', 'TOTALTRADES'].map((name) => [
      name,
      Number(candle[name]),
    ]),
  )
  return {
    ...numbers,
    VOLUMEFROM: Math.round((numbers['VOLUMEFROM'] ?? 0) * 1e6) / 1e6,
    VOLUMETO: Math.round((numbers['VOLUMETO'] ?? 0) * 1e2) / 1e2,
  }
}

describe('candles', () => {
  test('are those of the emitted trades, for each period and for the aggregate', async (t) => {
    const markets = ['coinbase:BTC-USD', 'kraken:BTC-USD']
    const simulator = await simulate(t, {
      markets,
      rate: 2_000,
      events: 3_000,
      quoteMillis: 30,
      now: clockBeforeHour(800),
    })
    const client = await Client.open(t, simulator)
    const names = ['Coinbase~BTC~USD', 'Kraken~BTC~USD', 'CCCAGG~BTC~USD']
    client.add('0~Coinbase~BTC~USD', '0~Kraken~BTC~USD')
    client.add(...names.flatMap((name) => ['m', 'H', 'D'].map((unit) => `24~${name}~${unit}`)))
    await simulator.done
    await client.settled()
    const trades = client.trades().map(asLedgerLine)
    assert.equal(trades.length, 3_000)
    for (const [exchange, unit, seconds] of [
      ['Coinbase', 'm', 60],
      ['Kraken', 'm', 60],
      ['CCCAGG', 'm', 60],
      ['Coinbase', 'H', 3_600],
      ['CCCAGG', 'H', 3_600],
      ['CCCAGG', 'D', 86_400],
    ] as const) {
      const candles = client.of('24').filter((c) => c['MARKET'] === exchange && c['UNIT'] === unit)
      const own = trades.filter((trade) => exchange === 'CCCAGG' || trade.exchange === exchange.toLowerCase())
      const periods = Map.groupBy(own, (trade) => Math.floor(trade.ts / 1_000_000 / seconds) * seconds)
      if (unit !== 'D') assert.equal(periods.size, 2, 'the trades lie on both sides of the hour')
      const lastOf = new Map(candles.map((candle) => [candle['TS'], candle]))
      assert.deepEqual(new Set(lastOf.keys()), new Set(periods.keys()))
      for (const [start, inPeriod] of periods) {
        const candle = lastOf.get(start)
        assert.ok(candle)
        assert.deepEqual(stated(candle), candleOf(inPeriod), `${exchange} ${unit} ${start}`)
        assert.equal(candle['FIRSTTS'], Math.floor((inPeriod[0]?.ts ?? 0) / 1_000_000))
        assert.equal(candle['MAXPRICE'], candle['HIGH'])
      }
      const starts = candles.map((candle) => Number(candle['TS']))
      assert.deepEqual(
        starts,
        starts.toSorted((a, b) => a - b),
        'a period is finished before the next begins',
      )
      const actions = candles.map((candle) => candle['ACTION'])
      assert.equal(actions[0], 'I')
      const second = candles.findIndex((candle, i) => i > 0 && candle['TS'] !== candles[i - 1]?.['TS'])
      if (second > 0)
        assert.ok(['A', 'I'].includes(String(actions[second])), `a new period begins with ${actions[second]}`)
    }

    const { body } = await call(simulator, '/data/v2/histominute?fsym=BTC&tsym=USD&e=Coinbase&limit=1')
    const rows = (body['Data'] as { Data: Record<string, number>[] }).Data
    const coinbase = trades.filter((trade) => trade.exchange === 'coinbase')
    const minutes = [...Map.groupBy(coinbase, (trade) => Math.floor(trade.ts / 60_000_000) * 60)]
    assert.deepEqual(
      rows.map((row) => [row['time'], row['open'], row['high'], row['low'], row['close']]),
      minutes.map(([start, inMinute]) => {
        const { OPEN, HIGH, LOW, CLOSE } = candleOf(inMinute)
        return [start, OPEN, HIGH, LOW, CLOSE]
      }),
    )
  })

  test('of a quiet minute are empty and have the price before it', async (t) => {
    const simulator = await simulate(t, {
      markets: ['bitstamp:LTC-USD'],
      rate: 0.001,
      quoteMillis: 20,
      now: clockBeforeHour(300),
    })
    const client = await Client.open(t, simulator)
    client.add('24~Bitstamp~LTC~USD~m')
    await client.until(
      'the next minute',
      () => new Set(client.of('24').map((candle) => candle['TS'])).size === 2,
    )
    const candle = client.of('24').at(-1)
    assert.deepEqual([candle?.['ACTION'], candle?.['TOTALTRADES'], candle?.['VOLUMEFROM']], ['I', 0, 0])
    assert.equal(candle?.['OPEN'], candle?.['CLOSE'])
    assert.equal(candle?.['HIGH'], candle?.['LOW'])
  })
})

describe('tickers', () => {
  for (const [sub, path] of [
    ['2~Coinbase~BTC~USD', '/data/pricemultifull?fsyms=BTC&tsyms=USD&e=Coinbase'],
    ['5~CCCAGG~BTC~USD', '/data/pricemultifull?fsyms=BTC&tsyms=USD'],
  ] as const) {
    test(`of ${sub}: a snapshot, then what changed; together they are what REST says`, async (t) => {
      const markets = ['coinbase:BTC-USD', 'kraken:BTC-USD', 'bitstamp:BTC-USD']
      const simulator = await simulate(t, { markets, rate: 4_000, events: 2_000, quoteMillis: 20 })
      const client = await Client.open(t, simulator)
      client.add(sub, '0~Coinbase~BTC~USD', '0~Kraken~BTC~USD', '0~Bitstamp~BTC~USD')
      await simulator.done
      await client.settled()
      const [type = ''] = sub.split('~')
      const [snapshot = {}, ...changes] = client.of(type)
      assert.ok(changes.length > 5, `${changes.length} changes`)
      let state: Message = { ...snapshot }
      const name = ['TYPE', 'MARKET', 'FROMSYMBOL', 'TOSYMBOL', 'FLAGS']
      const flags: [field: string, shift: number][] = [
        ['PRICE', 0],
        [type === '2' ? 'BID' : 'MEDIAN', type === '2' ? 3 : 9],
      ]
      for (const change of changes) {
        assert.deepEqual(Object.keys(change).slice(0, 5), name)
        for (const [field, value] of Object.entries(change)) {
          if (!name.includes(field)) assert.notEqual(value, state[field], `${field} has not changed`)
        }
        for (const [field, shift] of flags) {
          const [from, to] = [Number(state[field]), Number(change[field] ?? state[field])]
          assert.equal((Number(change['FLAGS']) >> shift) & 7, to > from ? 1 : to < from ? 2 : 4, field)
        }
        state = { ...state, ...change }
      }
      const { body } = await call(simulator, path)
      const raw = (body['RAW'] as Record<string, Record<string, Message>>)['BTC']?.['USD'] ?? {}
      for (const [field, value] of Object.entries(state)) {
        // The spread goes on moving without trades; FLAGS is a text in REST.
        if (!['BID', 'ASK', 'FLAGS'].includes(field)) assert.deepEqual(raw[field], value, field)
      }
      assert.equal(raw['FLAGS'], type === '2' ? '292' : '2052')
      if (type === '2') {
        const last = client.trades('Coinbase~BTC~USD').at(-1)
        assert.deepEqual(
          [state['PRICE'], state['LASTTRADEID'], state['LASTVOLUME']],
          [last?.['P'], last?.['ID'], last?.['Q']],
        )
        assert.ok(Number(state['BID']) < Number(state['ASK']))
      }
    })
  }

  test('come at most once in each interval, and stop after the last trade', async (t) => {
    const simulator = await simulate(t, {
      markets: ['coinbase:BTC-USD'],
      rate: 3_000,
      events: 1_500,
      quoteMillis: 100,
      heartbeatSeconds: 0.05,
    })
    const client = await Client.open(t, simulator)
    const started = performance.now()
    client.add('0~Coinbase~BTC~USD', '2~Coinbase~BTC~USD', '24~Coinbase~BTC~USD')
    await simulator.done
    await client.settled()
    await client.message('999')
    const most = 2 + Math.ceil((performance.now() - started) / 100)
    assert.ok(client.of('2').length <= most, `${client.of('2').length} tickers, at most ${most}`)
    const [tickers, candles, beats] = ['2', '24', '999'].map((type) => client.of(type).length)
    await client.until('more heartbeats', () => client.of('999').length > (beats ?? 0) + 6)
    assert.deepEqual([client.of('2').length, client.of('24').length], [tickers, candles])
  })
})

describe('books', () => {
  test('a snapshot and its changes give the book that a newcomer gets', async (t) => {
    const simulator = await simulate(t, { rate: 10, quoteMillis: 10 })
    const client = await Client.open(t, simulator)
    client.add('8~Coinbase~BTC~USD')
    await client.until('changes', () => client.of('8').length > 100)
    const newcomer = await Client.open(t, simulator)
    newcomer.add('8~Coinbase~BTC~USD')
    const expected = await newcomer.message('9')
    const until = Number(expected['CCSEQ'])
    await client.until('the changes before', () => Number(client.of('8').at(-1)?.['CCSEQ']) >= until)

    const [snapshot = {}] = client.of('9')
    const levels = (side: unknown) =>
      (side as { P: number; Q: number }[]).map(({ P, Q }): [number, number] => [P, Q])
    const book = [new Map(levels(snapshot['BID'])), new Map(levels(snapshot['ASK']))] as const
    let sequence = Number(snapshot['CCSEQ'])
    for (const change of client.of('8').filter((each) => Number(each['CCSEQ']) <= until)) {
      sequence++
      assert.equal(change['CCSEQ'], sequence, 'CCSEQ goes up by exactly 1')
      const side = book[change['SIDE'] as 0 | 1]
      const [price, size] = [Number(change['P']), Number(change['Q'])]
      switch (change['ACTION']) {
        case 1:
          assert.ok(!side.has(price))
          side.set(price, size)
          break
        case 2:
          assert.equal(size, 0)
          assert.ok(side.delete(price))
          break
        case 4:
          assert.ok(side.has(price))
          side.set(price, size)
          break
        default:
          assert.fail(`ACTION ${change['ACTION']}`)
      }
    }
    assert.equal(sequence, until)
    assert.deepEqual(book[0], new Map(levels(expected['BID'])))
    assert.deepEqual(book[1], new Map(levels(expected['ASK'])))
    assert.ok(Math.max(...book[0].keys()) < Math.min(...book[1].keys()), 'bids lie below asks')
  })

  test('top of book: both sides first, then one at a time, CCSEQ up by 1', async (t) => {
    const simulator = await simulate(t, { rate: 10, quoteMillis: 10 })
    const client = await Client.open(t, simulator)
    client.add('30~Binance~ETH~USDT')
    await client.until('changes', () => client.of('30').length > 10)
    const [first = {}, ...changes] = client.of('30')
    assert.ok('BID' in first && 'ASK' in first)
    for (const [i, change] of changes.entries()) {
      assert.equal(change['CCSEQ'], Number(first['CCSEQ']) + i + 1)
      assert.notEqual('BID' in change, 'ASK' in change)
    }
  })
})
