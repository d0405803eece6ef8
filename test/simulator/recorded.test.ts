import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { WebSocket } from 'ws'
import type { SourceKind } from '../../src/adapters/source/feed/source-kind.ts'
import { SOURCES } from '../../src/adapters/source/index.ts'
import { createRecorder, type Recorder } from '../../src/adapters/source/recording/recorder.ts'
import { openRecordings } from '../../src/cli/simulate/recordings.ts'
import type { Market, SourceItem } from '../../src/ports/source.ts'
import { DIALECTS, type SimulatedExchange } from '../../src/simulator/exchanges/index.ts'
import { marketsOfExchanges } from '../../src/simulator/markets.ts'
import { startRecordedSimulator } from '../../src/simulator/recorded/simulator.ts'
import { BookReader } from '../adapters/source/books.ts'
import { capture } from '../adapters/source/captures.ts'
import { openOn } from '../adapters/source/opened.ts'
import { eventsOf, nowMicros, pull, until } from '../adapters/source/waiting.ts'
import { quietLog } from '../quiet.ts'
import { Client, simulate } from './client.ts'

const NAMES = Object.keys(DIALECTS) as SimulatedExchange[]
const EVENTS = 150

/** A source of an exchange on a server, with all that it has. */
async function openAll(
  t: TestContext,
  name: SimulatedExchange,
  base: string,
  recorders?: Recorder[],
  folder = '',
) {
  const kind: SourceKind = SOURCES[name]
  const markets = marketsOfExchanges([name]).map(({ exchange, symbol }) => ({ exchange, symbol }))
  const channels = [...kind.channels]
  return openOn(
    t,
    kind,
    { url: `${base.replace('http', 'ws')}/${name}`, restUrl: `${base}/${name}` },
    {
      ...{ markets, channels, bookDepth: 10 },
      ...(recorders && {
        openTap: () => {
          const files = { folder, compression: 'zstd' as const, rotateBytes: 1e9, rotateMs: 1e9 }
          const recorder = createRecorder({
            ...files,
            ...{ name, source: name, markets, channels },
            now: nowMicros,
          })
          recorders.push(recorder)
          return recorder
        },
      }),
    },
  )
}

/** All trades, without the time of their arrival. */
function tradesOf(items: readonly SourceItem[]) {
  const unique = new Map(
    eventsOf(items, 'trade').map(({ recvTs: _, ...trade }) => [`${trade.symbol} ${trade.id}`, trade]),
  )
  return [...unique.keys()].toSorted().map((key) => unique.get(key))
}

const idsOf = (items: readonly SourceItem[]) =>
  new Set(eventsOf(items, 'trade').map(({ symbol, id }) => `${symbol} ${id}`)).size

/** A folder that goes with the test. */
async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tapeline-recorded-'))
  t.after(() => rm(folder, { recursive: true }))
  return folder
}

async function serve(
  t: TestContext,
  paths: readonly string[],
  { speed = 10, loop = false, misbehave = [] as readonly string[] } = {},
) {
  const recordings = await openRecordings(paths, t.signal)
  const simulator = await startRecordedSimulator({
    ...{ recordings, speed, loop, misbehave, host: '127.0.0.1', port: 0, log: quietLog },
  })
  t.after(() => simulator.close())
  return simulator
}

/** Records what the simulator makes up as an exchange. */
async function record(t: TestContext, name: SimulatedExchange) {
  const folder = await folderOf(t)
  const live = await simulate(t, { exchanges: [name], events: EVENTS, rate: 300, quoteMillis: 20 })
  const recorders: Recorder[] = []
  const { source } = await openAll(t, name, live.url, recorders, folder)
  const books = new BookReader()
  let seen = 0
  const items = await pull(source, 'all trades are read', (all) => {
    books.take(all.slice(seen))
    seen = all.length
    return idsOf(all) >= EVENTS && eventsOf(all, 'quote').length > 0
  })
  await source.close()
  await Promise.all(recorders.map((recorder) => recorder.close()))
  return { paths: recorders.flatMap(({ counts }) => counts.files), items, books }
}

for (const name of NAMES)
  describe(`a recording of ${SOURCES[name].title}, told by the simulator`, () => {
    test('gives the same trades, and quotes and books that are right', async (t) => {
      const { paths, items: recorded, books: before } = await record(t, name)
      const simulator = await serve(t, paths)
      const { source } = await openAll(t, name, simulator.url)
      const books = new BookReader()
      let seen = 0
      const items = await pull(source, 'all trades are read again', (all) => {
        books.take(all.slice(seen))
        seen = all.length
        return idsOf(all) >= EVENTS && eventsOf(all, 'quote').length > 0
      })
      assert.deepEqual(tradesOf(items), tradesOf(recorded))
      assert.deepEqual(source.health().without, [])
      assert.equal(source.health().counters.malformed, 0)
      assert.deepEqual(books.doubts, before.doubts)
      const { markets } = simulator.stats()
      assert.equal(markets, marketsOfExchanges([name]).length)
    })
  })

describe('the server of a recording', () => {
  test('tells each client only what it asks for, and refuses what was not recorded', async (t) => {
    const { paths } = await record(t, 'kraken')
    const simulator = await serve(t, paths, { speed: 100 })
    const client = new Client(`${simulator.url.replace('http', 'ws')}/kraken`)
    t.after(() => client.websocket.terminate())
    await once(client.websocket, 'open')
    client.send({ method: 'subscribe', params: { channel: 'trade', symbol: ['BTC/USD', 'XYZ/USD'] } })
    client.send({ method: 'ping' })
    await until('all is told', () => simulator.stats().rounds > 0)
    await client.until('the answers', () => client.messages.some(({ method }) => method === 'pong'))
    const told = client.messages.filter(({ channel }) => channel === 'trade' || channel === 'book')
    assert.ok(told.length > 0)
    for (const { channel, data } of told) {
      assert.equal(channel, 'trade')
      assert.equal((data as readonly { symbol: string }[])[0]?.symbol, 'BTC/USD')
    }
    assert.match(JSON.stringify(client.messages), /Currency pair not supported XYZ\/USD/)
  })

  test('begins anew in a loop, for those who come again', async (t) => {
    const { paths, items } = await record(t, 'okx')
    const simulator = await serve(t, paths, { speed: 1, loop: true })
    const { source } = await openAll(t, 'okx', simulator.url)
    const again = await pull(source, 'it was told twice', (all) => {
      const told = eventsOf(all, 'trade').length
      return simulator.stats().rounds >= 2 && idsOf(all) >= EVENTS && told > EVENTS
    })
    assert.deepEqual(tradesOf(again), tradesOf(items))
  })

  test('who comes later gets the book as far as it has come', async (t) => {
    const { paths } = await record(t, 'bybit')
    const simulator = await serve(t, paths, { speed: 100 })
    const { source: early } = await openAll(t, 'bybit', simulator.url)
    const books = new BookReader()
    let seen = 0
    const take = (reader: BookReader) => (all: readonly SourceItem[]) => {
      reader.take(all.slice(seen))
      seen = all.length
      return marketsOfExchanges(['bybit']).every(({ symbol }) => reader.isValid(symbol))
    }
    await pull(early, 'all books are there', take(books))
    await until('all is told', () => simulator.stats().rounds > 0)
    seen = 0
    const { source: late } = await openAll(t, 'bybit', simulator.url)
    const later = new BookReader()
    const items = await pull(late, 'all books are there again', take(later))
    assert.deepEqual([later.doubts, eventsOf(items, 'trade')], [[], []])
  })

  test('is away, and refuses what would change a recording', async (t) => {
    const { paths } = await record(t, 'gemini')
    const simulator = await serve(t, paths, { misbehave: ['drop'] })
    const socket = new WebSocket(`${simulator.url.replace('http', 'ws')}/gemini`)
    await once(socket, 'error')
    const change = (modes: readonly string[]) =>
      fetch(`${simulator.url}/misbehave`, { method: 'POST', body: JSON.stringify({ modes }) })
    assert.equal((await change(['duplicate'])).status, 400)
    assert.equal((await change([])).status, 200)
    await assert.rejects(serve(t, paths, { misbehave: ['garbage'] }), { code: 'USAGE' })
  })

  const coinbase = capture('COINBASE.ws.28.0')
  test('reads captures of others', { skip: coinbase.skip }, async (t) => {
    const simulator = await serve(t, [coinbase.path], { speed: 1_000 })
    const [market, other] = ['SKL-USD', 'BTC-USD'].map((symbol) => ({ exchange: 'coinbase', symbol }))
    assert.equal(simulator.stats().markets, 10)
    const address = { url: `${simulator.url.replace('http', 'ws')}/coinbase`, restUrl: simulator.url }
    const markets = [market, other] as readonly Market[]
    const { source } = await openOn(t, SOURCES.coinbase, address, { markets, channels: ['trade'] })
    const items = await pull(source, 'all trades come', (all) => eventsOf(all, 'trade').length >= 53)
    for (const { symbol } of eventsOf(items, 'trade')) assert.equal(symbol, 'SKL-USD')
    await until('the other is refused', () => source.health().without.length === 1)
  })

  test('is none of what is no exchange of the simulator', async (t) => {
    const folder = await folderOf(t)
    const of = { source: 'cryptocompare', markets: [], channels: ['trade'], name: 'cryptocompare' }
    const recorder = createRecorder({
      ...{ folder, ...of, compression: undefined, rotateBytes: 1e9, rotateMs: 1e9, now: nowMicros },
    })
    recorder.received(Buffer.from('{}'), nowMicros())
    await recorder.close()
    await assert.rejects(openRecordings(recorder.counts.files, t.signal), {
      code: 'CAPTURE_INVALID',
      message: /cryptocompare.*does not speak/,
    })
  })
})
