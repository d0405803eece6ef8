import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { openEvents } from '../gateway/event-client.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { byMarket, type LedgerTrade, readLedger, tradeKey } from './ledger.ts'
import { makeFolder, PlatformProcess, until } from './platform-process.ts'
import { StreamClient } from './stream-client.ts'

const SEED = Number(process.env['TAPELINE_SEED'] ?? Date.now() % 1_000_000)
const RATE = 1_000
const CUTS = 20
const BITCOIN = { channel: 'trade', symbols: ['BTC-*'] }

/** How often the slow socket reads the stream, so that its buffers fill quickly. */
const SLOW_LEASES = 40

describe(`delivery over WebSocket (seed ${SEED})`, () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>
  let simulator: Simulator
  let platform: PlatformProcess
  let api: string
  const clients: StreamClient[] = []

  before(async () => {
    folder = await makeFolder()
    await copyStoreTemplate(join(folder.path, 'data', 'store'))
    simulator = await startSimulatorThread({ seed: SEED, rate: RATE, ledger: join(folder.path, 'ledger') })
    platform = new PlatformProcess(join(folder.path, 'data'), ['--simulator', simulator.url])
    await platform.start()
    api = await platform.api()
  })
  after(async () => {
    for (const client of clients) client.socket.terminate()
    await platform.kill()
    await simulator.close()
    await folder.remove()
  })

  const open = async (): Promise<StreamClient> => {
    const client = await StreamClient.open(api)
    clients.push(client)
    return client
  }

  /** The ledger by market, as soon as it has all that came: the simulator writes it a little later than it sends. */
  const ledgerOf = async (trades: readonly LedgerTrade[]): Promise<Map<string, LedgerTrade[]>> => {
    const last = new Map([...byMarket(trades)].map(([market, of]) => [market, of.at(-1)]))
    let emitted = new Map<string, LedgerTrade[]>()
    await until('the ledger has all that came', async () => {
      emitted = byMarket(await readLedger(join(folder.path, 'ledger')))
      return [...last].every(([market, trade]) => emitted.get(market)?.some(({ id }) => id === trade?.id))
    })
    return emitted
  }

  /** Market by market the trades are the ledger's, from the first to the last that came, in order and none twice. */
  const assertWhole = async (trades: readonly LedgerTrade[], wanted: RegExp): Promise<void> => {
    const emitted = await ledgerOf(trades)
    for (const [market, came] of byMarket(trades)) {
      assert.match(market, wanted)
      const all = emitted.get(market) ?? []
      const from = all.findIndex(({ id }) => id === came[0]?.id)
      const to = all.findIndex(({ id }) => id === came.at(-1)?.id)
      assert.deepEqual(came.map(tradeKey), all.slice(from, to + 1).map(tradeKey), market)
    }
  }

  test('a client has exactly the trades that it asked for, from the first on, in order', async () => {
    const client = await open()
    const stream = await client.request(BITCOIN)
    await until('trades arrived', () => client.count(stream) > 2_000)
    // A quiet market may have its first trade at any moment: whatever trades until a look comes to the client after it.
    await until('trades of all markets arrived', async () => {
      const emitted = byMarket(await readLedger(join(folder.path, 'ledger')))
      const came = byMarket(client.events(stream))
      return [...emitted.keys()].every((market) => !market.includes(':BTC-') || came.has(market))
    })
    client.cut()
    await assertWhole(client.events(stream), /:BTC-/)
  })

  test(`a client that was cut ${CUTS} times and resumed by cursor has them too, none missing and none twice`, async () => {
    let random = SEED
    const upTo = (most: number): number => {
      random = (random * 1_103_515_245 + 12_345) % 2_147_483_648
      return random % most
    }
    let client = await open()
    const stream = await client.request(BITCOIN)
    await until('trades arrived', () => client.count(stream) > 0)
    const trades: LedgerTrade[] = []
    const answers = new Set<string>()
    for (let cut = 0; cut < CUTS; cut++) {
      // Before the answer, in the middle of what was missed meanwhile (which comes fast), or while it is level.
      const frames = [0, 0, 1, 2, 3, upTo(100)][upTo(6)] ?? 0
      await until('some frames arrived', () => client.frames.length >= frames)
      await delay(upTo(20))
      client.cut()
      trades.push(...client.events(stream))
      for (const { op } of client.messages) answers.add(op)
      const cursor = client.cursors.get(stream) ?? ''
      await delay(upTo(400))
      client = await open()
      client.cursors.set(stream, cursor)
      client.send({ op: 'subscribe', stream, cursor })
    }
    const goal = (await simulator.stats()).emitted
    await until('it is level again', async () => {
      const seen = client.events(stream).at(-1)
      const emitted = await readLedger(join(folder.path, 'ledger'))
      return seen !== undefined && placeOf(seen, emitted) >= goal
    })
    client.cut()
    trades.push(...client.events(stream))
    for (const { op } of client.messages) answers.add(op)
    await assertWhole(trades, /:BTC-/)
    assert.deepEqual([...answers], ['subscribed'], 'and no reset was needed')
  })

  test('a client that filters, chooses fields and reads server-sent events has exactly what the ledger says, however often it is cut', async (t) => {
    const wanted = {
      ...BITCOIN,
      where: 'side == "buy" && price * size >= 100',
      fields: ['id', 'side', 'size'],
    }
    const { id, cursor } = await platform.post<{ id: string; cursor: string }>('/v1/streams', wanted)
    const trades: LedgerTrade[] = []
    let last = cursor
    for (let cut = 0; cut < CUTS / 4; cut++) {
      const client = await openEvents(t, `${api}/v1/streams/${id}/events`, { 'last-event-id': last })
      for (let frames = 0; frames < 8 || trades.length < 60 * (cut + 1); ) {
        const event = (await client.next()) ?? assert.fail('the stream ended')
        last = event.id ?? last
        if (event.data['op'] !== 'data') continue
        frames++
        trades.push(...(event.data['events'] as LedgerTrade[]))
      }
      client.close()
    }
    for (const trade of trades)
      assert.deepEqual(Object.keys(trade), ['exchange', 'symbol', 'id', 'side', 'size', 'ts'])
    const accepted = ({ side, price, size }: LedgerTrade): boolean => side === 'buy' && price * size >= 100
    const emitted = await ledgerOf(trades)
    const ids = (of: readonly LedgerTrade[]): string[] => of.map((trade) => trade.id)
    for (const [market, came] of byMarket(trades)) {
      const all = ids((emitted.get(market) ?? []).filter(accepted))
      const from = all.indexOf(came[0]?.id ?? '')
      assert.deepEqual(ids(came), all.slice(from, from + came.length), market)
    }
  })

  test('a stream that begins in the past has everything from its beginning on, and goes on live', async () => {
    const read = async (from: unknown): Promise<LedgerTrade[]> => {
      const client = await open()
      const stream = await client.request({ ...BITCOIN, symbols: ['ETH-*'], from })
      const goal = Date.now() * 1000
      await until('it is live', () => (client.events(stream).at(-1)?.ts ?? 0) > goal)
      client.cut()
      return client.events(stream)
    }
    const all = await read('earliest')
    const time = all[Math.floor(all.length / 2)]?.ts ?? 0
    const later = await read(time)
    const [ofAll, ofLater] = [byMarket(all), byMarket(later)]
    for (const [market, trades] of await ledgerOf([...all, ...later])) {
      if (!market.includes(':ETH-')) continue
      const emitted = trades.map(tradeKey)
      const [mine, mineLater] = [ofAll, ofLater].map((of) => (of.get(market) ?? []).map(tradeKey))
      assert.deepEqual(mine, emitted.slice(0, mine?.length), market)
      // A quiet market may have had nothing since.
      if (!mineLater?.length) continue
      // What was on its way at that time comes too.
      const first = emitted.indexOf(mineLater[0] ?? '')
      assert.ok((trades[first - 1]?.ts ?? 0) < time, 'nothing from its beginning on is missing')
      assert.deepEqual(mineLater, emitted.slice(first, first + mineLater.length), market)
    }
  })

  test('a cursor that is none, or of another stream, is refused and disturbs nothing', async () => {
    const client = await open()
    const stream = await client.request(BITCOIN)
    const other = await client.request({ channel: 'trade', symbols: ['ETH-*'] })
    await until('data flow', () => client.count(stream) > 0 && client.count(other) > 0)
    const foreign = client.cursors.get(other) ?? ''
    for (const cursor of ['x', foreign, Buffer.from('[9,1]').toString('base64url'), foreign.slice(0, 30)]) {
      const before = client.messages.length
      client.send({ op: 'subscribe', stream, cursor })
      await until('it was answered', () => client.messages.length > before)
      const { op, code, remedy } = client.messages.at(-1) ?? {}
      assert.deepEqual([op, code], ['error', 'CURSOR_INVALID'], cursor)
      assert.ok(remedy, 'it says what to do')
    }
    client.send({ op: 'subscribe', stream: 'nobodys' })
    await until('an unknown stream was refused', () => client.messages.at(-1)?.code === 'STREAM_UNKNOWN')
    const before = client.count(stream)
    await until('the stream goes on', () => client.count(stream) > before + 100)
    client.cut()
    await assertWhole(client.events(stream), /:BTC-/)
  })

  test('a client that stops reading delays no other, and gets everything in order when it reads again', async () => {
    const slow = await open()
    const streams: string[] = []
    for (let i = 0; i < SLOW_LEASES; i++) streams.push(await slow.request(BITCOIN))
    const quick = await open()
    const [first = ''] = streams
    quick.send({ op: 'subscribe', stream: first })
    await until('both read', () => quick.count(first) > 0 && slow.count(streams.at(-1) ?? '') > 0)

    const catchUps = await platform.metric('delivery_catch_ups_total')
    slow.socket.pause()
    await until('every stream of the slow one is served from the log', async () => {
      return (await platform.metric('delivery_catch_ups_total')) >= catchUps + SLOW_LEASES
    })
    const goal = (await simulator.stats()).emitted
    await until('the quick one is level meanwhile', async () => {
      const emitted = await readLedger(join(folder.path, 'ledger'))
      const newest = quick.events(first).at(-1)
      return newest !== undefined && placeOf(newest, emitted) >= goal
    })
    const expected = quick.events(first).map(tradeKey)
    const last = expected.at(-1)

    slow.socket.resume()
    for (const stream of streams) {
      await until('the slow one has caught up', () =>
        slow.events(stream).some((trade) => tradeKey(trade) === last),
      )
    }
    assert.deepEqual([...new Set(slow.messages.map(({ op }) => op))], ['subscribed'], 'without a reset')
    for (const stream of streams) {
      const came = slow.events(stream).map(tradeKey)
      const from = came.indexOf(expected[0] ?? '')
      assert.deepEqual(came.slice(from, came.indexOf(last ?? '') + 1), expected, 'what the quick one has')
    }
    slow.cut()
    quick.cut()
  })

  test('two sockets on one stream get the same bytes, and both hear of its end', async () => {
    const [one, two] = [await open(), await open()]
    const stream = await one.request(BITCOIN)
    two.send({ op: 'subscribe', stream })
    await until('both read', () => one.count(stream) > 500 && two.count(stream) > 500)
    await platform.remove(`/v1/streams/${stream}`)
    const ended = (client: StreamClient) => client.messages.filter(({ op }) => op === 'end')
    await until('both heard', () => ended(one).length > 0 && ended(two).length > 0)
    for (const client of [one, two]) {
      assert.deepEqual(ended(client), [{ op: 'end', stream, reason: 'deleted' }])
    }
    const frames = two.frames.map(({ text }) => text)
    const from = one.frames.findIndex(({ text }) => text === frames[0])
    assert.ok(from >= 0, 'the first frame of the second socket came to the first one too')
    assert.deepEqual(
      one.frames.slice(from).map(({ text }) => text),
      frames,
    )
    two.send({ op: 'subscribe', stream })
    await until('it is gone', () => two.messages.at(-1)?.code === 'STREAM_UNKNOWN')
  })
})

/** Where a trade stands among those that were emitted; markets have ids of their own, which may be equal. -1 where it is not there yet. */
function placeOf(trade: LedgerTrade, emitted: readonly LedgerTrade[]): number {
  const key = tradeKey(trade)
  return emitted.findIndex((each) => each.id === trade.id && tradeKey(each) === key)
}
