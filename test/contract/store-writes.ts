import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Store } from '../../src/ports/store.ts'
import {
  book,
  candle,
  claimOne,
  deadline,
  MIDNIGHT,
  quote,
  segment,
  sql,
  status,
  storedIds,
  store as storeRows,
  trade,
  unique,
  writeOf,
} from './store-fixtures.ts'

/** Fences, offsets and what a write does to the tables. */
export function describeWrites(store: () => Store): void {
  test('a partition never seen starts at 0; each claim raises its fence and gives what was stored', async () => {
    const topic = unique('topic')
    const targets = [2, 0].map((partition) => ({ topic, topicId: topic, partition }))
    const first = await store().claim(targets, deadline())
    assert.deepEqual(
      first.map(({ partition, nextOffset, memory }) => ({ partition, nextOffset, memory })),
      [2, 0].map((partition) => ({ partition, nextOffset: 0, memory: { epochs: {}, positions: {} } })),
      'the claims come in the order of the targets',
    )
    const [two] = first
    assert.ok(two)
    const memory = {
      epochs: { 0: 7, 3: 12 },
      positions: { t: { 1: [5, 2] as const } },
      latest: 5,
      mayHaveTo: 3,
      overwrittenBy: 7,
    }
    const [advanced] = await store().write([{ claim: two, newOffset: 9, memory, segments: [] }], deadline())
    assert.deepEqual(advanced, { ...two, nextOffset: 9, memory })
    const [again, zero] = await store().claim(targets, deadline())
    assert.deepEqual(again, { ...two, fence: two.fence + 1, nextOffset: 9, memory })
    assert.equal(zero?.nextOffset, 0)
  })

  test('an offset moves a topic by its identity: a name used again starts at 0', async () => {
    const topic = unique('topic')
    const former = await claimOne(store(), topic)
    await store().write([writeOf(former, 5)], deadline())
    const [anew] = await store().claim([{ topic, topicId: unique('id'), partition: 0 }], deadline())
    assert.equal(anew?.nextOffset, 0)
    assert.equal(former.formerOffset, undefined)
    assert.equal(anew?.formerOffset, 5, 'it tells how far the former one is stored')
  })

  test('claims follow each other without being claimed again, and offsets beyond 2^32 are kept', async () => {
    let claim = await claimOne(store(), unique('topic'))
    for (const newOffset of [1, 100, 2 ** 40]) {
      const [next] = await store().write([{ ...writeOf(claim, 0), newOffset }], deadline())
      assert.ok(next)
      claim = next
    }
    assert.equal((await claimOne(store(), claim.topic)).nextOffset, 2 ** 40)
  })

  test('a zombie writes nothing, and neither does a live partition in the same write', async () => {
    const [topic, other, symbol] = [unique('topic'), unique('topic'), unique('S')]
    const zombie = await claimOne(store(), topic, 3)
    const live = await claimOne(store(), other)
    const owner = await claimOne(store(), topic, 3)
    const writes = [
      writeOf(live, 1, segment('trade', [trade({ symbol, id: 'live' })])),
      writeOf(zombie, 1, segment('trade', [trade({ symbol, id: 'zombie' })])),
    ]
    await assert.rejects(store().write(writes, deadline()), {
      code: 'FENCED',
      partitions: [{ topic, partition: 3 }],
    })
    assert.deepEqual(await storedIds(store(), symbol), [])
    await store().write(
      [
        writeOf(live, 1, segment('trade', [trade({ symbol, id: 'live' })])),
        writeOf(owner, 1, segment('trade', [trade({ symbol, id: 'owner' })])),
      ],
      deadline(),
    )
    assert.deepEqual((await storedIds(store(), symbol)).sort(), ['live', 'owner'])
  })

  test('a claim serves for one write, and a partition never claimed for none', async () => {
    const symbol = unique('S')
    const claim = await claimOne(store(), unique('topic'))
    await store().write([writeOf(claim, 1, segment('trade', [trade({ symbol })]))], deadline())
    const again = writeOf(claim, 1, segment('trade', [trade({ symbol, id: '2' })]))
    await assert.rejects(store().write([again], deadline()), { code: 'FENCED' })
    const never = { ...claim, topic: unique('topic'), topicId: unique('id'), nextOffset: 0 }
    await assert.rejects(store().write([writeOf(never, 1)], deadline()), { code: 'FENCED' })
    assert.deepEqual(await storedIds(store(), symbol), ['1'])
  })

  test('an offset never goes back, unless the write says that the log has become shorter', async () => {
    const [topic, symbol] = [unique('topic'), unique('S')]
    await store().write([writeOf(await claimOne(store(), topic), 10)], deadline())
    const [claim, other] = [await claimOne(store(), topic), await claimOne(store(), unique('topic'))]
    const back = writeOf(claim, -3, segment('trade', [trade({ symbol, id: 'back' })]))
    await assert.rejects(store().write([writeOf(other, 1), back], deadline()), {
      code: 'OFFSET_GOES_BACK',
      partitions: [{ topic, partition: 0 }],
    })
    assert.deepEqual(await storedIds(store(), symbol), [], 'nothing was written')
    assert.equal((await claimOne(store(), other.topic)).nextOffset, 0)
    const [moved] = await store().write([{ ...back, back: true }], deadline())
    assert.equal(moved?.nextOffset, 7)
    assert.deepEqual(await storedIds(store(), symbol), ['back'])
    // The claim of before serves for no other write, back or not.
    await assert.rejects(store().write([{ ...back, back: true }], deadline()), { code: 'FENCED' })
    assert.equal((await claimOne(store(), topic)).nextOffset, 7)
  })

  test('what became of a write without an answer is learnt by claiming again', async () => {
    const symbol = unique('S')
    const claim = await claimOne(store(), unique('topic'))
    const abort = new AbortController()
    const write = writeOf(claim, 10, segment('trade', [trade({ symbol })]))
    const writing = store().write([write], abort.signal)
    abort.abort()
    await assert.rejects(writing, { name: 'AbortError' })
    const { nextOffset, fence } = await claimOne(store(), claim.topic)
    assert.equal(fence, claim.fence + 1)
    assert.ok(nextOffset === 0 || nextOffset === 10, `next offset ${nextOffset}`)
    const ids = await storedIds(store(), symbol)
    assert.deepEqual(ids, nextOffset === 10 ? ['1'] : [], 'rows and offset agree')
  })

  test('trades that enter again are left out where the table has them, and stored once where it has not', async () => {
    const symbol = unique('S')
    const had = trade({ symbol, id: 'had', ts: MIDNIGHT + 1 })
    await storeRows(store(), segment('trade', [had]))
    const missed = trade({ symbol, id: 'missed', ts: MIDNIGHT + 2 })
    const both = trade({ symbol, id: 'both', ts: MIDNIGHT + 3 })
    const elsewhere = { ...had, exchange: 'kraken', ts: MIDNIGHT + 4 }
    await storeRows(
      store(),
      segment('trade', [both, missed, had, missed, elsewhere], true),
      segment('trade', [both]),
      segment('trade', [missed], true),
    )
    assert.deepEqual(await storedIds(store(), symbol), ['had', 'missed', 'both', 'had'])
    await storeRows(store(), segment('trade', [had, missed, both, elsewhere], true))
    assert.deepEqual(await storedIds(store(), symbol), ['had', 'missed', 'both', 'had'])
  })

  test('a trade that enters again with its time in another precision is the same one', async () => {
    const symbol = unique('S')
    const at = (id: string, ts: number, changes = {}) => trade({ symbol, id, ts: MIDNIGHT + ts, ...changes })
    const had = [at('us', 600_050), at('ms', 600_000), at('s', 5_000_000), at('up', 999_700)]
    await storeRows(store(), segment('trade', had))
    const again = [
      ...[at('us', 600_000), at('us', 0), at('us', 600_050)],
      ...[at('ms', 600_050), at('ms', 600_999), at('ms', 1_000_000)],
      ...[at('s', 5_123_456), at('s', 5_123_000)],
      ...[at('up', 1_000_000), at('up', 999_000)],
    ]
    for (const one of again) await storeRows(store(), segment('trade', [one], true))
    await storeRows(store(), segment('trade', again, true))
    assert.deepEqual((await storedIds(store(), symbol)).sort(), ['ms', 's', 'up', 'us'])

    const fresh = [at('new', 7_000_000), at('new', 7_000_050), at('new', 7_000_000)]
    await storeRows(store(), segment('trade', fresh, true))
    assert.equal((await storedIds(store(), symbol)).filter((id) => id === 'new').length, 1)
  })

  test('the id of another trade is no reason to leave one out: price, size and time belong to it', async () => {
    const symbol = unique('S')
    const had = trade({ symbol, ts: MIDNIGHT + 600_050 })
    await storeRows(store(), segment('trade', [had]))
    const others = [
      { ...had, price: 77 },
      { ...had, size: 2 },
      { ...had, ts: MIDNIGHT + 600_051 },
      { ...had, ts: MIDNIGHT + 602_000 },
      { ...had, ts: MIDNIGHT + 3_000_000 },
    ]
    for (let time = 0; time < 2; time++) await storeRows(store(), segment('trade', others, true))
    assert.equal((await storedIds(store(), symbol)).length, 1 + others.length)
  })

  test('quotes that enter again are left out where the table has the same, by all they say', async () => {
    const symbol = unique('S')
    const had = quote({ symbol, bid: 1, ask: 2 })
    await storeRows(store(), segment('quote', [had]))
    const missed = quote({ symbol, bid: 1, ask: 2, ts: MIDNIGHT + 1 })
    const changed = [
      quote({ symbol, bid: 1 }),
      quote({ symbol, bid: 1, ask: 2, last: 3 }),
      quote({ symbol, bid: 1, ask: 2, exchange: 'kraken' }),
      quote({ symbol, bid: 1, ask: 2, recvTs: MIDNIGHT + 9 }),
    ]
    const fresh = quote({ symbol, bid: 7 })
    for (let time = 0; time < 2; time++) {
      await storeRows(store(), segment('quote', [missed, had, missed, ...changed], true))
    }
    await storeRows(store(), segment('quote', [fresh, fresh], true), segment('quote', [fresh]))
    const counted = await sql(store(), `select count(*) as rows from quotes where symbol = '${symbol}'`)
    assert.deepEqual(counted.rows, [{ rows: 1 + 1 + changed.length + 1 }])
  })

  test('books are rows with pairs of price and size; those that enter again are left out where the table has the same', async () => {
    const symbol = unique('S')
    const had = book({
      symbol,
      bids: [
        [64_000.1, 0.5],
        [63_999, 1e-9],
      ],
    })
    const doubt = book({ symbol, bids: [], asks: [], doubt: 'sequence', ts: MIDNIGHT + 1 })
    await storeRows(store(), segment('book', [had, doubt]))
    const other = book({ symbol, bids: [[1, 1]] })
    for (let time = 0; time < 2; time++)
      await storeRows(store(), segment('book', [had, doubt, other, other], true))
    const { rows } = await sql(
      store(),
      `select array_to_json(bids)::text as bids, array_to_json(asks)::text as asks, doubt, bids[1][2] as size from books
       where symbol = '${symbol}' order by ts, bids desc`,
    )
    assert.deepEqual(rows, [
      { bids: '[[64000.1,0.5],[63999,1e-09]]', asks: '[[10,2]]', doubt: null, size: 0.5 },
      { bids: '[[1,1]]', asks: '[[10,2]]', doubt: null, size: 1 },
      { bids: '[]', asks: '[]', doubt: 'sequence', size: null },
    ])
  })

  test('status that enters again is left out where the table has the same, by all it says', async () => {
    const exchange = unique('x')
    const had = status({ exchange, detail: 'there' })
    const gap = status({
      ...{ exchange, state: 'gap', symbol: 'BTC-USD', from: MIDNIGHT, to: MIDNIGHT + 1 },
      ...{ cause: 'source' },
    })
    await storeRows(store(), segment('status', [had]))
    const changed = [
      { ...had, detail: 'other' },
      { ...had, source: 'else' },
      { ...gap, to: MIDNIGHT + 2 },
      { ...gap, cause: 'restart' as const },
    ]
    for (let time = 0; time < 2; time++) {
      await storeRows(store(), segment('status', [had, gap, gap, ...changed], true))
    }
    const counted = await sql(store(), `select count(*) as rows from status where exchange = '${exchange}'`)
    assert.deepEqual(counted.rows, [{ rows: 2 + changed.length }])
  })

  test('a candle that enters again is stored where there is none, and replaces an open one only by a closed one', async () => {
    const symbol = unique('S')
    const at = (interval: '1m' | '5m' | '1h', close: number, closed: boolean) =>
      candle({ symbol, interval, close, closed })
    await storeRows(store(), segment('candle', [at('1m', 1, true), at('5m', 1, false)]))
    const again = [at('1m', 2, true), at('5m', 2, false), at('1h', 2, false), at('1h', 3, false)]
    await storeRows(store(), segment('candle', again, true))
    const closes = async () =>
      (
        await sql(store(), `select "interval", close from candles where symbol = '${symbol}' order by 1`)
      ).rows.map((row) => [row['interval'], row['close']])
    assert.deepEqual(await closes(), [
      ['1h', 3],
      ['1m', 1],
      ['5m', 1],
    ])
    await storeRows(store(), segment('candle', [at('5m', 4, true), at('1h', 4, true)], true))
    assert.deepEqual(await closes(), [
      ['1h', 4],
      ['1m', 1],
      ['5m', 4],
    ])
  })

  test('writes of different partitions may run at the same time', async () => {
    const [symbol, topic] = [unique('S'), unique('topic')]
    const targets = [0, 1, 2, 3].map((partition) => ({ topic, topicId: topic, partition }))
    let claims = await store().claim(targets, deadline())
    for (let round = 0; round < 3; round++) {
      const done = claims.map(async (claim) => {
        const ids = Array.from({ length: 500 }, (_, i) => `${claim.partition}-${claim.nextOffset + i}`)
        const rows = ids.map((id) => trade({ symbol, id }))
        return (await store().write([writeOf(claim, 500, segment('trade', rows))], deadline()))[0]
      })
      claims = (await Promise.all(done)).filter((claim) => claim !== undefined)
    }
    assert.ok(store().lanes >= 1)
    assert.equal(new Set(await storedIds(store(), symbol)).size, 4 * 3 * 500)
  })

  test('ordinary trades are stored as they come, equal ones too', async () => {
    const symbol = unique('S')
    await storeRows(store(), segment('trade', [trade({ symbol }), trade({ symbol })]))
    assert.deepEqual(await storedIds(store(), symbol), ['1', '1'])
  })

  test('of a candle the last word counts, within a write and after it', async () => {
    const symbol = unique('S')
    const at = (changes: Parameters<typeof candle>[0]) => candle({ symbol, ...changes })
    await storeRows(
      store(),
      segment('candle', [at({ close: 1 }), at({ close: 2, trades: 5 }), at({ interval: '5m', close: 9 })]),
    )
    const read = async (interval: '1m' | '5m') =>
      (await store().candles({ symbol, interval, origin: 'source', limit: 10 }, deadline())).map(
        ({ close, trades }) => ({ close, trades }),
      )
    assert.deepEqual(await read('1m'), [{ close: 2, trades: 5 }])
    assert.deepEqual(await read('5m'), [{ close: 9, trades: null }])
    await storeRows(store(), segment('candle', [at({ close: 4, closed: true })]))
    assert.deepEqual(await read('1m'), [{ close: 4, trades: null }])
    const other = at({ exchange: 'kraken', ts: MIDNIGHT + 60_000_000, close: 7 })
    await storeRows(store(), segment('candle', [other, at({ close: 5 })]))
    assert.deepEqual(await read('1m'), [
      { close: 5, trades: null },
      { close: 7, trades: null },
    ])
  })

  test('every channel keeps its values: microseconds, absent ones, doubles, any text', async () => {
    const symbol = unique('S\'"\\\n\t\u{1f4c8}')
    const ts = MIDNIGHT + 1_234_567
    const price = 0.1 + 0.2
    await storeRows(
      store(),
      segment('trade', [trade({ symbol, id: '\u00fc;--', price, size: 5e-324, ts, recvTs: ts + 1 })]),
      segment('quote', [
        quote({ symbol, bid: 1.5, ts }),
        quote({ symbol, last: 2, volume24h: 1e300, ts: ts + 1 }),
      ]),
      segment('status', [
        status({
          exchange: symbol,
          state: 'gap',
          symbol,
          from: ts,
          to: ts + 1,
          detail: 'a gap',
          ts: ts + 2,
          cause: 'source',
        }),
        status({ exchange: symbol, ts: ts + 3 }),
      ]),
    )
    assert.deepEqual(await store().trades({ symbol, limit: 1 }, deadline()), [
      {
        exchange: 'coinbase',
        symbol,
        id: '\u00fc;--',
        side: 'buy',
        price,
        size: 5e-324,
        ts: '2100-01-01T00:00:01.234567Z',
        recvTs: '2100-01-01T00:00:01.234568Z',
      },
    ])
    const named = `$name$${symbol}$name$`
    const quotes = await sql(
      store(),
      `select bid, bid_size, ask, ask_size, last, volume_24h, ts from quotes where symbol = ${named} order by ts`,
    )
    const absent = { bid: null, bid_size: null, ask: null, ask_size: null, last: null, volume_24h: null }
    assert.deepEqual(quotes.rows, [
      { ...absent, bid: 1.5, ts: '2100-01-01T00:00:01.234567Z' },
      { ...absent, last: 2, volume_24h: 1e300, ts: '2100-01-01T00:00:01.234568Z' },
    ])
    const found = await sql(
      store(),
      `select source, state, symbol, from_ts, to_ts, detail, ts, cause from status where exchange = ${named} order by ts`,
    )
    assert.deepEqual(found.rows, [
      {
        source: 'simulator',
        state: 'gap',
        symbol,
        from_ts: '2100-01-01T00:00:01.234567Z',
        to_ts: '2100-01-01T00:00:01.234568Z',
        detail: 'a gap',
        ts: '2100-01-01T00:00:01.234569Z',
        cause: 'source',
      },
      {
        source: 'simulator',
        state: 'connected',
        symbol: null,
        from_ts: null,
        to_ts: null,
        detail: '',
        ts: '2100-01-01T00:00:01.234570Z',
        cause: null,
      },
    ])
  })

  test('a row that its table refuses, or bytes that are no rows, leave nothing and do no harm', async () => {
    const symbol = unique('S')
    const claim = await claimOne(store(), unique('topic'))
    const good = segment('trade', [trade({ symbol })])
    const zeroByte = segment('trade', [trade({ symbol, id: 'a\0b' })])
    const torn = { ...good, tuples: good.tuples.slice(0, good.tuples.length - 3) }
    const noise = { ...good, tuples: new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]) }
    for (const bad of [zeroByte, torn, noise]) {
      await assert.rejects(store().write([writeOf(claim, 2, good, bad)], deadline()), {
        code: 'EVENT_INVALID',
      })
      for (const channel of ['trade', 'quote', 'candle', 'status'] as const) {
        const staged = { ...bad, channel, reentering: true }
        await assert.rejects(store().write([writeOf(claim, 2, staged)], deadline()), {
          code: 'EVENT_INVALID',
        })
      }
    }
    assert.deepEqual(await storedIds(store(), symbol), [])
    await store().write([writeOf(claim, 2, good)], deadline())
    assert.deepEqual(await storedIds(store(), symbol), ['1'])
  })

  test("the caller's bytes stay whole, so that a write can be done again", async () => {
    const symbol = unique('S')
    const rows = segment('trade', [trade({ symbol })])
    const copy = rows.tuples.slice()
    await storeRows(store(), rows)
    assert.deepEqual(rows.tuples, copy)
  })

  test('a large batch of several partitions and channels is one write', async () => {
    const [symbol, topic] = [unique('S'), unique('topic')]
    const claims = await store().claim(
      [0, 1, 2, 3].map((partition) => ({ topic, topicId: topic, partition })),
      deadline(),
    )
    const writes = claims.map((claim) => {
      const ids = Array.from({ length: 5000 }, (_, i) => `${claim.partition}-${i}`)
      const trades = ids.map((id, i) => trade({ symbol, id, ts: MIDNIGHT + i }))
      return writeOf(claim, 5000, segment('trade', trades), segment('quote', [quote({ symbol })]))
    })
    const next = await store().write(writes, deadline())
    assert.deepEqual(
      next.map(({ nextOffset }) => nextOffset),
      [5000, 5000, 5000, 5000],
    )
    const counted = await sql(
      store(),
      `select (select count(*) from trades where symbol = '${symbol}') as trades,
         (select count(*) from quotes where symbol = '${symbol}') as quotes`,
    )
    assert.deepEqual(counted.rows, [{ trades: 20_000, quotes: 4 }])
  })

  test('no writes and no rows are writes too', async () => {
    assert.deepEqual(await store().write([], deadline()), [])
    const claim = await claimOne(store(), unique('topic'))
    const [next] = await store().write([writeOf(claim, 3, segment('trade', []))], deadline())
    assert.equal(next?.nextOffset, 3)
  })
}
