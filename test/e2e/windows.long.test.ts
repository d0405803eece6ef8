import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Candle } from '../../src/domain/events.ts'
import { parseIsoMicros } from '../../src/domain/time.ts'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { type LedgerTrade, marketOf, readLedger, storedTrades, tradeKey } from './ledger.ts'
import { makeFolder, PlatformProcess, until } from './platform-process.ts'
import { StreamClient } from './stream-client.ts'

const SEED = Number(process.env['TAPELINE_SEED'] ?? Date.now() % 1_000_000)
const KILLS = 2
const SECOND = 1_000_000
const BITCOIN = { symbols: ['BTC-*'], ttl: 0 }

/** What a client reads of a stream over cuts and kills: it goes on at its cursor each time. */
class Follower {
  readonly stream: string
  readonly events: LedgerTrade[] = []
  #cursor: string
  #client: StreamClient | undefined

  constructor({ id, cursor }: { id: string; cursor: string }) {
    this.stream = id
    this.#cursor = cursor
  }

  async follow(api: string): Promise<void> {
    this.#client = await StreamClient.open(api)
    this.#client.send({ op: 'subscribe', stream: this.stream, cursor: this.#cursor })
  }

  get last(): LedgerTrade | undefined {
    return this.#client?.events(this.stream).at(-1) ?? this.events.at(-1)
  }

  cut(): void {
    const client = this.#client
    if (client === undefined) return
    client.cut()
    this.events.push(...client.events(this.stream))
    this.#cursor = client.cursors.get(this.stream) ?? this.#cursor
    assert.deepEqual([...new Set(client.messages.map(({ op }) => op))], ['subscribed'])
    this.#client = undefined
  }
}

describe(`streams with windows (seed ${SEED})`, () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>
  let simulator: Simulator
  let platform: PlatformProcess
  let minutes: Follower

  before(async () => {
    folder = await makeFolder()
    await copyStoreTemplate(join(folder.path, 'data', 'store'))
    simulator = await startSimulatorThread({ seed: SEED, rate: 200, ledger: join(folder.path, 'ledger') })
    platform = new PlatformProcess(join(folder.path, 'data'), ['--simulator', simulator.url])
    await platform.start()
    minutes = await ask({ channel: 'trade', interval: '1m', lateness: '1s' })
  })
  after(async () => {
    await platform.kill()
    await simulator.close()
    await folder.remove()
  })

  const ask = async (request: object): Promise<Follower> =>
    new Follower(
      await platform.post<{ id: string; cursor: string }>('/v1/streams', { ...BITCOIN, ...request }),
    )

  test(`candles and conflation are exactly what was stored, over ${KILLS} kills and as many cuts`, async () => {
    const candles = await ask({ channel: 'candle', interval: '1s' })
    const latest = await ask({ channel: 'trade', every: '500ms' })
    const followers = [candles, latest]
    const startedAt = Date.now() * 1_000
    for (let kill = 0; kill <= KILLS; kill++) {
      const api = await platform.api()
      for (const follower of followers) await follower.follow(api)
      const goal = Date.now() * 1_000 + SECOND
      await until('windows are closed', () => followers.every(({ last }) => (last?.ts ?? 0) > goal))
      for (const follower of followers) follower.cut()
      if (kill === KILLS) break
      await platform.kill()
      await delay(100)
      await platform.start()
    }

    const end = Math.min(...followers.map(({ events }) => events.at(-1)?.ts ?? 0)) - SECOND
    let stored: LedgerTrade[] = []
    // Each partition has a way of its own, and keeps its order: with the last trade of a period the others of it are stored.
    await until('what they were made of is stored', async () => {
      stored = (await storedTrades(platform)).filter(({ symbol }) => symbol.startsWith('BTC-'))
      const keys = new Set(stored.map(tradeKey))
      return latest.events.every((trade) => trade.ts >= end || keys.has(tradeKey(trade)))
    })
    const order = new Map(
      (await readLedger(join(folder.path, 'ledger'))).map((trade, i) => [tradeKey(trade), i]),
    )
    const emitted = stored.toSorted((a, b) => (order.get(tradeKey(a)) ?? 0) - (order.get(tradeKey(b)) ?? 0))
    const within = <T extends { readonly ts: number }>(events: readonly T[]): T[] =>
      events.filter(({ ts }) => ts >= startedAt + SECOND && ts < end)

    const byPeriod = (length: number): Map<string, LedgerTrade[]> =>
      Map.groupBy(within(emitted), (trade) => `${marketOf(trade)} ${Math.floor(trade.ts / length)}`)
    const lastOf = (trades: readonly LedgerTrade[]): LedgerTrade | undefined =>
      trades.reduce((last, trade) => (trade.ts >= last.ts ? trade : last))
    const edges = <T>(map: Map<string, T>): Map<string, T> => {
      const periods = [...map.keys()].map((key) => Number(key.split(' ')[1]))
      const [first, last] = [Math.min(...periods), Math.max(...periods)]
      return new Map([...map].filter(([key]) => ![first, last].includes(Number(key.split(' ')[1]))))
    }
    const expectedLatest = [...edges(byPeriod(SECOND / 2)).values()].map((trades) =>
      tradeKey(lastOf(trades) ?? assert.fail()),
    )
    const gotLatest = latest.events.map(tradeKey)
    assert.equal(new Set(gotLatest).size, gotLatest.length, 'no period comes twice')
    assert.ok(expectedLatest.length > 10)
    assert.deepEqual(
      expectedLatest.filter((key) => !gotLatest.includes(key)),
      [],
      'the latest of every period',
    )

    const made = candles.events as unknown as Candle[]
    const keyOf = (candle: Pick<Candle, 'exchange' | 'symbol' | 'ts'>): string =>
      `${marketOf(candle)} ${candle.ts / SECOND}`
    assert.equal(new Set(made.map(keyOf)).size, made.length, 'no candle comes twice')
    const got = new Map(made.map((candle) => [keyOf(candle), candle]))
    for (const [key, trades] of edges(byPeriod(SECOND))) {
      const prices = trades.map(({ price }) => price)
      const volume = trades.reduce((sum, { size }) => sum + size, 0)
      const candle = got.get(key) ?? assert.fail(`there is no candle ${key}`)
      assert.deepEqual(
        [candle.high, candle.low, candle.trades, candle.closed, candle.origin, candle.interval],
        [Math.max(...prices), Math.min(...prices), trades.length, true, 'trades', '1s'],
        key,
      )
      assert.ok(Math.abs(candle.volume - volume) < 1e-9, key)
    }
  })

  test('the first candle is whole, and candles equal those of the database', async () => {
    await minutes.follow(await platform.api())
    await until('a minute is over', () => minutes.last !== undefined, 90_000)
    minutes.cut()
    const [candle] = minutes.events as unknown as Candle[]
    assert.ok(candle)
    const { open, high, low, close, trades } = candle
    let row: Record<string, number | string> | undefined
    // Streams do not wait for the database.
    await until('the database has the minute', async () => {
      const rows = await platform.sql<Record<string, number | string>>(
        `select bucket, open, high, low, close, trades from candles_1m where exchange = '${candle.exchange}' and symbol = '${candle.symbol}'`,
      )
      row = rows.find(({ bucket }) => parseIsoMicros(String(bucket)) === candle.ts)
      return Number(row?.['trades']) >= (trades ?? 0)
    })
    assert.deepEqual(
      [row?.['open'], row?.['high'], row?.['low'], row?.['close'], Number(row?.['trades'])],
      [open, high, low, close, trades],
    )
  })
})
