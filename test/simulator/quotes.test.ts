import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { asLedgerLine, Client, call, type LedgerLine, type Message, simulate } from './client.ts'

const MINUTE = 60_000

/** A clock ten minutes before the hour, and a jump to that hour. */
function clockBeforeHour(): { readonly now: () => number; jump(): void } {
  let offset = 50 * MINUTE - (Date.now() % (60 * MINUTE))
  return {
    now: () => Date.now() + offset,
    jump: () => {
      offset += 10 * MINUTE
    },
  }
}

const EXACT = ['OPEN', 'HIGH', 'LOW', 'CLOSE', 'TOTALTRADES'] as const

/** The candle of trades, in the words of TYPE 24. */
function candleOf(trades: readonly LedgerLine[]): Record<(typeof EXACT)[number], number> {
  const prices = trades.map((trade) => trade.price)
  return {
    OPEN: prices[0] ?? Number.NaN,
    HIGH: Math.max(...prices),
    LOW: Math.min(...prices),
    CLOSE: prices.at(-1) ?? Number.NaN,
    TOTALTRADES: trades.length,
  }
}

function assertCandle(candle: Message, trades: readonly LedgerLine[], what: string): void {
  assert.deepEqual(Object.fromEntries(EXACT.map((name) => [name, candle[name]])), candleOf(trades), what)
  const volume = trades.reduce((sum, trade) => sum + trade.size, 0)
  const volumeTo = trades.reduce((sum, trade) => sum + trade.size * trade.price, 0)
  // Sums are rounded to 8 decimals on the wire.
  assert.ok(Math.abs(Number(candle['VOLUMEFROM']) - volume) < 1e-7, `${what}: volume`)
  assert.ok(Math.abs(Number(candle['VOLUMETO']) - volumeTo) < 1e-4, `${what}: volume in the quote`)
}

describe('candles', () => {
  test('are those of the emitted trades, for each period and for the aggregate', async (t) => {
    const clock = clockBeforeHour()
    const markets = ['coinbase:BTC-USD', 'kraken:BTC-USD']
    const simulator = await simulate(t, { markets, rate: 2_000, quoteMillis: 30, now: clock.now })
    const client = await Client.open(t, simulator)
    const names = ['Coinbase~BTC~USD', 'Kraken~BTC~USD', 'CCCAGG~BTC~USD']
    client.add('0~Coinbase~BTC~USD', '0~Kraken~BTC~USD')
    client.add(...names.flatMap((name) => ['m', 'H', 'D'].map((unit) => `24~${name}~${unit}`)))
    const hours = () => new Set(client.trades().map((trade) => Math.floor(Number(trade['TS']) / 3_600)))
    await client.until('trades before the hour', () => client.trades().length > 500)
    clock.jump()
    await client.until('trades after the hour', () => hours().size === 2)
    const enough = client.trades().length + 500
    await client.until('more trades', () => client.trades().length > enough)
    await simulator.close()

    const trades = client.trades().map(asLedgerLine)
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
      for (const candle of candles) {
        const count = Number(candle['TOTALTRADES'])
        const first = periods.get(Number(candle['TS']))?.slice(0, count) ?? []
        if (count === 0) continue
        assertCandle(candle, first, `${exchange} ${unit} ${candle['TS']}`)
        assert.equal(candle['FIRSTTS'], Math.floor((first[0]?.ts ?? 0) / 1_000_000))
        assert.equal(candle['LASTTS'], Math.floor((first.at(-1)?.ts ?? 0) / 1_000_000))
        assert.equal(candle['MAXPRICE'], candle['HIGH'])
      }
      const lastOf = new Map(candles.map((candle) => [Number(candle['TS']), candle]))
      for (const [start, inPeriod] of [...periods].slice(0, -1)) {
        assert.equal(
          lastOf.get(start)?.['TOTALTRADES'],
          inPeriod.length,
          'a period that ended is told in full',
        )
      }
      const starts = candles.map((candle) => Number(candle['TS']))
      assert.deepEqual(
        starts,
        starts.toSorted((a, b) => a - b),
        'a period is finished before the next begins',
      )
      for (const [i, candle] of candles.entries()) {
        const anew = candle['TS'] !== candles[i - 1]?.['TS']
        assert.equal(candle['ACTION'] !== 'U', anew, `ACTION ${candle['ACTION']} of candle ${i}`)
      }
    }
  })

  test('of REST are those of the emitted trades', async (t) => {
    const clock = clockBeforeHour()
    const simulator = await simulate(t, { markets: ['coinbase:BTC-USD'], rate: 2_000, now: clock.now })
    const client = await Client.open(t, simulator)
    client.add('0~Coinbase~BTC~USD')
    await client.until('trades', () => client.trades().length > 500)
    clock.jump()
    const hour = Math.floor(clock.now() / 3_600_000) * 3_600
    await client.until('trades after the hour', () => Number(client.trades().at(-1)?.['TS']) >= hour)
    const { body } = await call(
      simulator,
      `/data/v2/histohour?fsym=BTC&tsym=USD&e=Coinbase&limit=1&toTs=${hour - 1}`,
    )
    const row = (body['Data'] as { Data: Record<string, number>[] }).Data[1]
    const { OPEN, HIGH, LOW, CLOSE } = candleOf(
      client
        .trades()
        .map(asLedgerLine)
        .filter((trade) => trade.ts < hour * 1_000_000),
    )
    assert.deepEqual(
      [row?.['time'], row?.['open'], row?.['high'], row?.['low'], row?.['close']],
      [hour - 3_600, OPEN, HIGH, LOW, CLOSE],
    )
  })

  test('of a quiet minute are empty and have the price before it', async (t) => {
    const clock = clockBeforeHour()
    const options = { markets: ['bitstamp:LTC-USD'], rate: 0.001, quoteMillis: 20, now: clock.now }
    const simulator = await simulate(t, options)
    const client = await Client.open(t, simulator)
    client.add('24~Bitstamp~LTC~USD~m')
    await client.message('24')
    clock.jump()
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
