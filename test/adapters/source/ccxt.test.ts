import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { loadCcxt } from '../../../src/adapters/source/ccxt/library.ts'
import { ccxtWire } from '../../../src/adapters/source/ccxt/wire.ts'
import type { SourceKind } from '../../../src/adapters/source/feed/source-kind.ts'
import { kindOf } from '../../../src/adapters/source/index.ts'
import type { SourceItem } from '../../../src/ports/source.ts'
import { openListing } from '../../../src/topology/sources.ts'
import { describeSource } from '../../contract/source.ts'
import { SEED } from '../../seed.ts'
import { BookReader } from './books.ts'
import { SPEAKERS } from './exchanges.ts'
import { krakenByCcxt } from './kraken-decoder.ts'
import { MUTATED, spoiltFrames } from './mutated.ts'
import { openOn } from './opened.ts'
import { playing } from './playing.ts'
import { Service, sendFrame } from './service.ts'
import { eventsOf, pull, until } from './waiting.ts'

/** ccxt takes more room than all else: it is installed for this test alone. */
const VERSION = '4.5.84'
const folder = await mkdtemp(join(tmpdir(), 'tapeline-ccxt-'))
const lack = await promisify(execFile)(
  'npm',
  ['install', '--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund', `ccxt@${VERSION}`],
  { timeout: 180_000 },
).then(
  () => undefined,
  (error: Error) => `ccxt ${VERSION} cannot be installed here: ${error.message.slice(0, 200)}`,
)

const started = process.cwd()
before(() => process.chdir(folder))
after(async () => {
  process.chdir(started)
  await rm(folder, { recursive: true, force: true, maxRetries: 3 })
})

const speaker = SPEAKERS.find(({ kind }) => kind.name === 'kraken')
assert.ok(speaker)
const { frame, asks, answer } = speaker
const kraken = kindOf({ kind: 'ccxt', exchange: 'kraken' })

const pair = (base: string) => ({
  ...{ altname: `${base}USD`, wsname: `${base}/USD`, base, quote: 'USD', status: 'online' },
  ...{ pair_decimals: 2, lot_decimals: 8, tick_size: '0.01', ordermin: '1', costmin: '1', lot: 'unit' },
  ...{ cost_decimals: 5, lot_multiplier: 1, leverage_buy: [], leverage_sell: [], fees: [], fees_maker: [] },
})
const assets = ['BTC', 'ETH', 'USD'].map((asset) => [
  asset,
  { aclass: 'currency', altname: asset, decimals: 8, status: 'enabled' },
])

/** Kraken's REST, as far as ccxt asks for its markets. */
function rest(url: URL) {
  if (url.pathname.endsWith('/AssetPairs'))
    return {
      body: { error: [], result: { BTCUSD: pair('BTC'), ETHUSD: { ...pair('ETH'), status: 'cancel_only' } } },
    }
  if (url.pathname.endsWith('/Assets')) return { body: { error: [], result: Object.fromEntries(assets) } }
  return { body: { error: [], result: {} } }
}

const BTC = { exchange: 'kraken', symbol: 'BTC-USD' }
const trade = (id: string) => ({
  ...{ ...BTC, id, side: 'buy' as const, price: 100.25, size: 0.5, ts: 1_753_190_418_654_000 },
})

/** A service that answers each subscribe, and then does what a test wants. */
function service(
  t: TestContext,
  then: (asked: Record<string, unknown>, send: (each: object) => void) => void,
) {
  return Service.start(t, {
    rest,
    received(asked, socket) {
      if (asks(asked)) for (const each of answer(asked, [])) sendFrame(socket, each)
      then(asked, (each) => sendFrame(socket, each))
    },
  })
}

/** Of mutated frames, before all of them are read. */
const AT_ONCE = 900

const channelOf = (asked: Record<string, unknown>) =>
  (asked['params'] as { channel?: string } | undefined)?.channel

if (lack !== undefined) test('a source of ccxt', { skip: lack }, () => undefined)
else {
  describeSource('ccxt', {
    ...{
      way: 'websocket',
      exchange: 'kraken',
      finite: false,
      idsRise: false,
      bestOnly: true,
      foreignClient: true,
    },
    open: async (t, { markets, lines }) => {
      // It asks for trades and best prices of each market by itself.
      let seen = 0
      const isSubscribe = (asked: object) =>
        asks(asked as Record<string, unknown>) !== undefined && ++seen % 4 === 0
      const answers = (asked: object) =>
        asks(asked as Record<string, unknown>) ? answer(asked as Record<string, unknown>, []) : []
      const playingService = await playing(t, lines, { isSubscribe, frame, answers })
      playingService.behaviour.rest = rest
      return (await openOn(t, kraken, playingService, { markets })).source
    },
  })

  describe('ccxt', () => {
    test('a market that ccxt does not know is refused, and the others go on', async (t) => {
      const running = await service(t, (asked, send) => {
        if (channelOf(asked) === 'trade') send(frame(trade('1')))
      })
      const markets = [{ exchange: 'kraken', symbol: 'NONE-USD' }, BTC]
      const { source } = await openOn(t, kraken, running, { markets, channels: ['trade'] })
      const items = await pull(source, 'events', (all) => eventsOf(all, 'trade').length === 1)
      assert.deepEqual(
        eventsOf(items, 'trade').map(({ id, symbol }) => [id, symbol]),
        [['1', 'BTC-USD']],
      )
      const [refused] = source.health().without
      assert.equal(refused?.symbol, 'NONE-USD')
      assert.match(refused?.why ?? '', /^MARKET_UNKNOWN: ccxt knows no market/)
    })

    test('books are snapshots and changes, and a lost connection is a doubt', async (t) => {
      const level = (price: number, qty: number) => ({ price, qty })
      const told = { symbol: 'BTC/USD', checksum: 0, timestamp: '2025-07-22T13:20:18.654Z' }
      const running = await service(t, (asked, send) => {
        if (asked['method'] !== 'subscribe' || channelOf(asked) !== 'book') return
        const data = [{ ...told, bids: [level(100, 1), level(99, 2)], asks: [level(101, 1), level(102, 1)] }]
        send({ channel: 'book', type: 'snapshot', data })
      })
      const { source } = await openOn(t, kraken, running, {
        markets: [BTC],
        channels: ['book'],
        bookDepth: 10,
      })
      const first = await pull(source, 'a snapshot', (all) => eventsOf(all, 'book').length > 0)
      const data = [{ ...told, bids: [level(99, 0)], asks: [level(101, 3)] }]
      running.send({ channel: 'book', type: 'update', data })
      const second = await pull(source, 'a change', (all) =>
        eventsOf(all, 'book').some((each) => !each.snapshot),
      )
      const [snapshot, change] = [
        eventsOf(first, 'book')[0],
        eventsOf(second, 'book').find((each) => !each.snapshot),
      ]
      assert.deepEqual(
        [snapshot?.snapshot, snapshot?.bids, snapshot?.asks],
        [
          true,
          [
            [100, 1],
            [99, 2],
          ],
          [
            [101, 1],
            [102, 1],
          ],
        ],
      )
      assert.deepEqual([change?.bids, change?.asks], [[[99, 0]], [[101, 3]]])
      running.cut()
      const later = await pull(source, 'events', (all) =>
        eventsOf(all, 'book').some(({ doubt }) => doubt !== undefined),
      )
      assert.equal(eventsOf(later, 'book').find(({ doubt }) => doubt)?.doubt, 'disconnected')
    })

    test('says what the exchange trades, with the steps that ccxt knows', async (t) => {
      const running = await service(t, () => undefined)
      const settings = {
        kind: 'ccxt',
        exchange: 'kraken',
        url: running.url,
        restUrl: running.restUrl,
      } as const
      const list = await openListing(settings)
      const found = await list?.(AbortSignal.timeout(30_000))
      assert.deepEqual(
        found?.toSorted((a, b) => (a.symbol < b.symbol ? -1 : 1)),
        [
          {
            ...{ ...BTC, name: 'BTCUSD', base: 'BTC', quote: 'USD' },
            ...{ tick: '0.01', lot: '0.00000001', isTrading: true },
          },
          {
            ...{ exchange: 'kraken', symbol: 'ETH-USD', name: 'ETHUSD', base: 'ETH', quote: 'USD' },
            ...{ tick: '0.01', lot: '0.00000001', isTrading: false },
          },
        ],
      )
    })

    test(`${MUTATED} mutated frames: no trade but those that are in them, each that is no JSON is counted, and nothing is printed (seed ${SEED})`, async (t) => {
      const printed = t.mock.method(console, 'log', () => undefined)
      const { connections, check } = spoiltFrames(krakenByCcxt, SEED)
      const running = await service(t, () => undefined)
      const markets = krakenByCcxt.symbols.map((symbol) => ({ exchange: 'kraken', symbol }))
      const { source } = await openOn(t, kraken, running, { markets, channels: ['trade', 'quote', 'book'] })
      await until('all is asked for', () => running.received.length >= krakenByCcxt.requests)
      const reader = new BookReader()
      const items: SourceItem[] = []
      // ccxt keeps the last 1,000 trades alone: a trade behind some frames says that they are read.
      const frames = connections.flat()
      for (let at = 0; at < frames.length; at += AT_ONCE) {
        const id = `last-${at}`
        running.send(...frames.slice(at, at + AT_ONCE), frame(trade(id)))
        const came = await pull(source, 'all is read', (all) =>
          eventsOf(all, 'trade').some((each) => each.id === id),
        )
        reader.take(came)
        items.push(...came.filter((item) => item.channel !== 'trade' || !item.event.id.startsWith('last-')))
      }
      check(items, source.health().counters)
      assert.equal(running.upgrades.length, 1, 'the connection was lost')
      assert.equal(printed.mock.callCount(), 0)
    })

    test('an exchange that ccxt does not stream is named', async () => {
      const none: SourceKind = kindOf({ kind: 'ccxt', exchange: 'krakn' })
      await assert.rejects(async () => none.loadSockets?.({}), {
        code: 'CONFIG_INVALID',
        message: /no exchange krakn.*kraken/,
      })
    })
  })
}

test('without the library the source says what to do', async (t) => {
  const empty = await mkdtemp(join(tmpdir(), 'tapeline-no-ccxt-'))
  t.after(() => rm(empty, { recursive: true, force: true }))
  await assert.rejects(loadCcxt(empty), { code: 'SOURCE_LIBRARY_MISSING', remedy: /npm install ccxt/ })
})

test('the kind needs an exchange, and no other kind takes one', () => {
  assert.throws(() => kindOf({ kind: 'ccxt' }), { code: 'CONFIG_INVALID' })
  assert.throws(() => kindOf({ kind: 'okx', exchange: 'kucoin' }), { code: 'CONFIG_INVALID' })
  assert.equal(kindOf({ kind: 'ccxt', exchange: 'kucoin' }).name, 'ccxt-kucoin')
})

test('trades without ids get one from what they say, with their number among equals of a millisecond', () => {
  const wire = ccxtWire('kucoin')
  const trades = [1, 1, 2].map((price) => ({ timestamp: 1_753_190_418_654, side: 'sell', price, amount: 1 }))
  const read = () =>
    trades
      .flatMap((data) => wire.read(JSON.stringify({ of: 'trade', name: 'BTC-USDT', data })))
      .map((item) => (item.kind === 'trade' ? item.id : ''))
  const ids = read()
  assert.equal(new Set(ids).size, 3)
  assert.notDeepEqual(read(), ids)
})

test('a trade without an id is spoilt where the exchange gives ids', () => {
  const wire = ccxtWire('kucoin')
  const idOf = (id?: string) => {
    const data = { timestamp: 1_753_190_418_654, side: 'sell', price: 1, amount: 1, id }
    const [item] = wire.read(JSON.stringify({ of: 'trade', name: 'BTC-USDT', data }))
    return item?.kind === 'trade' ? item.id : ''
  }
  assert.match(String(idOf()), /^1753190418654:sell:1:1/)
  assert.equal(idOf('7'), '7')
  assert.equal(idOf(), undefined)
})

test('what is no frame of it, or has odd fields, never throws', () => {
  const odd = fc.jsonValue({ maxDepth: 3 })
  const of = fc.constantFrom('trade', 'quote', 'book', 'refused', 'heartbeat', 'none')
  const data = fc.oneof(
    odd,
    fc.array(odd),
    fc.dictionary(fc.constantFrom('bids', 'asks', 'timestamp', 'id'), odd),
  )
  const frames = fc.oneof(
    fc.string(),
    fc.json(),
    fc.record({ of, name: odd, data, words: odd }).map((frame) => JSON.stringify(frame)),
  )
  const wire = ccxtWire('kucoin')
  fc.assert(
    fc.property(frames, (frame) => wire.read(frame).length >= 0),
    { seed: SEED, numRuns: 10_000 },
  )
})
