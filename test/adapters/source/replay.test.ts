import assert from 'node:assert/strict'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { describe, type TestContext, test } from 'node:test'
import { recordingHeader, recordingLine } from '../../../src/adapters/source/recording/format.ts'
import { createReplaySource, type ReplayOptions } from '../../../src/adapters/source/replay.ts'
import { foldBook } from '../../../src/domain/book-levels.ts'
import { checkEvent } from '../../../src/domain/event-codec.ts'
import type { Book, Trade } from '../../../src/domain/events.ts'
import type { Source, SourceItem } from '../../../src/ports/source.ts'
import { BookReader } from './books.ts'
import { capture, writeCapture } from './captures.ts'
import { changesOf, eventsOf, pull, recordingLog } from './waiting.ts'

function open(t: TestContext, path: string, changes: Partial<ReplayOptions> = {}): Source {
  const source = createReplaySource({ paths: [path], speed: 'fastest', log: recordingLog(), ...changes })
  t.after(() => source.close())
  return source
}

/** A capture line of a trade. */
function line(id: number, seconds: number, product = 'BTC-USD'): string {
  const time = new Date(seconds * 1000).toISOString()
  const match = { type: 'match', trade_id: id, side: 'buy', size: '1', price: '2', product_id: product, time }
  return `${seconds}: ${JSON.stringify(match)}`
}

function all(source: Source) {
  return pull(source, 'the replay ends', () => source.ended)
}

/** The trades of a capture, worked out without the code under test. */
async function expectedTrades(path: string): Promise<Omit<Trade, 'recvTs'>[]> {
  const trades: Omit<Trade, 'recvTs'>[] = []
  for await (const text of createInterface({ input: createReadStream(path) })) {
    const at = text.indexOf(': {')
    if (at < 0 || !/"type":"(last_)?match"/.test(text)) continue
    const frame = JSON.parse(text.slice(at + 2)) as Record<string, string | number>
    const [whole = '', fraction = ''] = String(frame['time']).replace('Z', '').split('.')
    trades.push({
      exchange: 'coinbase',
      symbol: String(frame['product_id']),
      id: String(frame['trade_id']),
      side: frame['side'] === 'buy' ? 'sell' : 'buy',
      price: Number(frame['price']),
      size: Number(frame['size']),
      ts: Date.parse(`${whole}Z`) * 1000 + Number(fraction.padEnd(6, '0')),
    })
  }
  return trades
}

/** The best levels after the last change of depth in a capture of Binance, worked out without the code under test. */
function bestOfDepth(lines: readonly string[]) {
  type Row = readonly [price: string, size: string]
  const [bids, asks] = [new Map<number, number>(), new Map<number, number>()]
  const apply = (side: Map<number, number>, rows: readonly Row[]) => {
    for (const [price, size] of rows)
      if (Number(size) === 0) side.delete(Number(price))
      else side.set(Number(price), Number(size))
  }
  const frames = lines.map((each) => JSON.parse(each.slice(each.indexOf('{'))))
  const snapshot = frames.find(({ lastUpdateId }) => lastUpdateId)
  apply(bids, snapshot.bids)
  apply(asks, snapshot.asks)
  for (const { data } of frames) {
    if (data?.e !== 'depthUpdate' || data.u <= snapshot.lastUpdateId) continue
    apply(bids, data.b)
    apply(asks, data.a)
  }
  const best = (side: Map<number, number>, sign: number) =>
    [...side].sort(([a], [b]) => (a - b) * sign).slice(0, 20)
  return [best(bids, -1), best(asks, 1)]
}

describe('replay', () => {
  const { path, skip } = capture('COINBASE.ws.28.0')

  test('the recorded capture gives exactly its 107 trades', { skip }, async (t) => {
    const source = open(t, path)
    const items = await all(source)
    const trades = eventsOf(items, 'trade')
    assert.equal(trades.length, 107)
    assert.equal(new Set(trades.map(({ symbol, id }) => `${symbol}:${id}`)).size, 107, 'distinct trades')
    const expected = await expectedTrades(path)
    assert.equal(expected.length, 107)
    assert.deepEqual(
      trades.map(({ recvTs: _, ...trade }) => trade),
      expected,
    )
    const [first] = trades
    assert.equal(first?.recvTs, 1618677817079762, 'the time of arrival is the recorded one')
    for (const trade of trades) checkEvent('trade', trade)
    for (const quote of eventsOf(items, 'quote')) checkEvent('quote', quote)
    assert.equal(eventsOf(items, 'quote').length, 107)
    assert.deepEqual(changesOf(items), ['connected+'])
    const { malformed, frames } = source.health().counters
    assert.deepEqual({ malformed, frames }, { malformed: 0, frames: 9946 })
  })

  test('books follow the times of the frames: they are right, and the same each time', {
    skip,
  }, async (t) => {
    const read = async () => eventsOf(await all(open(t, path)), 'book')
    const books = await read()
    const reader = new BookReader()
    reader.take(books.map((event) => ({ channel: 'book', event })))
    // The recording ends, and with it what anybody can know.
    assert.deepEqual([...new Set(reader.doubts.map((doubt) => doubt.split(' ')[1]))], ['disconnected'])
    assert.equal(reader.doubts.length, 10)
    const snapshots = books.filter(({ snapshot, symbol }) => snapshot && symbol === 'BAND-GBP')
    assert.ok(snapshots.length > 2)
    for (const [at, { recvTs }] of snapshots.slice(1, -1).entries())
      assert.ok(recvTs - (snapshots[at]?.recvTs ?? 0) >= 10_000_000, 'every ten seconds of the recording')
    assert.deepEqual(await read(), books)
  })

  const kraken = capture('kraken-v2-book-btcusd-20261006.jsonl')

  test('books of Kraken, of which every checksum holds', { skip: kraken.skip }, async (t) => {
    const source = open(t, kraken.path)
    const books = eventsOf(await all(source), 'book')
    assert.deepEqual(
      books.map(({ snapshot, doubt }) => doubt ?? snapshot),
      [true, false, false, false, false, true, false, false, false, 'disconnected'],
    )
  })

  const binance = capture('binance-spot-nknusdt-20211012.txt')

  test('books of Binance begin with the snapshot by REST that was recorded', {
    skip: binance.skip,
  }, async (t) => {
    const lines = (await readFile(binance.path, 'utf8')).trim().split('\n')
    const expected = bestOfDepth(lines)
    const read = async (of: string) => {
      const books = eventsOf(await all(open(t, of)), 'book')
      assert.deepEqual(
        books.flatMap(({ doubt }) => doubt ?? []),
        ['disconnected'],
        'the recording ends',
      )
      const last = books.slice(0, -1).reduce<Book | undefined>(foldBook, undefined)
      assert.deepEqual([last?.bids.slice(0, 20), last?.asks.slice(0, 20)], expected)
      return books
    }
    const books = await read(binance.path)
    assert.ok(books.length > 100)
    // The same as a recording of ours has it.
    const ours = lines.flatMap((each) => {
      const [, url, at = '', text = ''] = /^(?:(\S+) -> )?([\d.]+): (.*)$/.exec(each) ?? []
      const [seconds = '', fraction = ''] = at.split('.')
      const ts = Number(seconds) * 1e6 + Number(fraction.slice(0, 6).padEnd(6, '0'))
      return recordingLine(ts, url === undefined ? { received: text } : { answered: text, url }).trim()
    })
    const header = { source: 'binance', markets: ['binance:NKN-USDT'], channels: ['book'], continues: false }
    assert.deepEqual(await read(await writeCapture(t, [recordingHeader(header).trim(), ...ours])), books)
  })

  test('of a capture only some markets, when they are named', { skip }, async (t) => {
    const source = open(t, path, { markets: [{ exchange: 'coinbase', symbol: 'SKL-USD' }] })
    const symbols = new Set(eventsOf(await all(source), 'trade').map(({ symbol }) => symbol))
    assert.deepEqual(symbols, new Set(['SKL-USD']))
  })

  test('blank lines and sent frames are passed over, broken lines are counted, connects are marked', async (t) => {
    const file = await writeCapture(t, [
      'wss://example.org <-> 1618677816.8434298',
      'wss://example.org <- 1618677817.020616: {"type":"subscribe","product_ids":["BTC-USD"]}',
      line(1, 1618677817),
      '',
      'no line of a capture',
      '1618677817.5: {"type":"match"}',
      'wss://example.org <-> 1618677818.1',
      line(1, 1618677817),
      line(2, 1618677820),
    ])
    const source = open(t, file)
    const items = await all(source)
    const order = items.map((item) =>
      item.channel === 'connection'
        ? item.status.ts
        : item.channel === 'trade'
          ? item.event.id
          : item.channel,
    )
    assert.deepEqual(order, [1618677816843429, '1', 1618677818100000, '1', '2'])
    assert.deepEqual(changesOf(items), ['connected+', 'connected+'])
    const { malformed, duplicates, reconnects } = source.health().counters
    assert.deepEqual({ malformed, duplicates, reconnects }, { malformed: 2, duplicates: 1, reconnects: 1 })
  })

  test('at recorded speed frames keep their distances', async (t) => {
    const file = await writeCapture(t, [line(1, 1618677817), line(2, 1618677817.1), line(3, 1618681417)])
    const source = open(t, file, { speed: 1 })
    const items = await pull(source, 'two trades', (some) => eventsOf(some, 'trade').length === 2)
    assert.deepEqual(
      eventsOf(items, 'trade').map(({ id }) => id),
      ['1', '2'],
    )
    assert.equal(source.ended, false, 'the third comes in an hour')
  })

  test('N times as fast: an hour of the recording passes in an instant, and a tenth of a second lasts for long', async (t) => {
    const file = await writeCapture(t, [line(1, 1618677817), line(2, 1618677817.1), line(3, 1618681417)])
    const ids = (items: readonly SourceItem[]) => eventsOf(items, 'trade').map(({ id }) => id)
    const fast = open(t, file, { speed: 36_000_000 })
    assert.deepEqual(ids(await all(fast)), ['1', '2', '3'])
    const slow = open(t, file, { speed: 1e-6 })
    const items = await pull(slow, 'a trade', (some) => eventsOf(some, 'trade').length > 0)
    assert.deepEqual(ids(items), ['1'])
    assert.equal(slow.ended, false, 'the second comes in a day')
  })

  test('a large capture is read as it is pulled, whole and in order', async (t) => {
    const count = 25_000
    const lines = Array.from({ length: count }, (_, i) => line(i, 1618677817 + i))
    const source = open(t, await writeCapture(t, lines))
    const ids: string[] = []
    while (!source.ended) {
      const { items } = await source.next(
        { maxItems: 5_000, lingerMs: 5, waitMs: 1_000 },
        AbortSignal.timeout(9_000),
      )
      ids.push(...eventsOf(items, 'trade').map(({ id }) => id))
      assert.ok(source.health().counters.frames <= ids.length + 10_000, 'it reads far ahead of who pulls')
    }
    assert.deepEqual(
      ids,
      lines.map((_, i) => String(i)),
    )
    assert.equal(source.health().counters.dropped, 0)
  })

  test('a file that is missing, or is no capture, is told with CAPTURE_INVALID', async (t) => {
    const missing = open(t, '/nowhere/at/all')
    const pulled = (source: Source) =>
      source.next({ maxItems: 1, lingerMs: 0, waitMs: 9_000 }, AbortSignal.timeout(9_000))
    await assert.rejects(pulled(missing), { code: 'CAPTURE_INVALID' })
    assert.equal(missing.health().failure?.code, 'CAPTURE_INVALID')
    const other = open(t, await writeCapture(t, ['# A readme', 'and its text']))
    await assert.rejects(pulled(other), { code: 'CAPTURE_INVALID' })
  })

  test('close ends a pause between frames', async (t) => {
    const file = await writeCapture(t, [line(1, 1618677817), line(2, 1618767817)])
    const source = open(t, file, { speed: 1 })
    await pull(source, 'one trade', (some) => eventsOf(some, 'trade').length === 1)
    await source.close()
    await source.close()
  })
})
