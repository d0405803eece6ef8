import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { type LedgerTrade, marketOf, readLedger, storedTrades, tradeKey } from './ledger.ts'
import { type Legs, whyNotTheLegs } from './legs.ts'
import { makeFolder, PlatformProcess, until } from './platform-process.ts'
import { StreamClient } from './stream-client.ts'

const SEED = Number(process.env['TAPELINE_SEED'] ?? Date.now() % 1_000_000)

interface Stream {
  readonly id: string
  readonly topic: string
  readonly cursor: string
}

/** An outside application that reads a stream on one socket after another, each from its last cursor. */
class Application {
  readonly stream: string
  readonly events: LedgerTrade[] = []
  readonly told: string[] = []
  cursor: string
  #client: StreamClient | undefined

  constructor({ id, cursor }: Pick<Stream, 'id' | 'cursor'>) {
    this.stream = id
    this.cursor = cursor
  }

  async attach(api: string): Promise<void> {
    this.#client = await StreamClient.open(api)
    this.#client.send({ op: 'subscribe', stream: this.stream, cursor: this.cursor })
  }

  get count(): number {
    return this.events.length + (this.#client?.count(this.stream) ?? 0)
  }

  get got(): readonly LedgerTrade[] {
    return [...this.events, ...(this.#client?.events(this.stream) ?? [])]
  }

  detach(): void {
    const client = this.#client
    if (client === undefined) return
    client.cut()
    this.events.push(...client.events(this.stream))
    this.told.push(...client.messages.map(({ op }) => op))
    this.cursor = client.cursors.get(this.stream) ?? this.cursor
    this.#client = undefined
  }
}

describe(`streams that move (seed ${SEED})`, () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>
  let simulator: Simulator
  let platform: PlatformProcess

  before(async () => {
    folder = await makeFolder()
    await copyStoreTemplate(join(folder.path, 'data', 'store'))
    simulator = await startSimulatorThread({ seed: SEED, rate: 400, ledger: join(folder.path, 'ledger') })
    platform = new PlatformProcess(join(folder.path, 'data'), ['--simulator', simulator.url])
    await platform.start()
  })
  after(async () => {
    await platform.kill()
    await simulator.close()
    await folder.remove()
  })

  const create = (spec: object): Promise<Stream> => platform.post<Stream>('/v1/streams', { ttl: 0, ...spec })
  const modify = async (id: string, change: object): Promise<Stream> => {
    const response = await fetch(`${await platform.api()}/v1/streams/${id}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(change),
    })
    assert.equal(response.status, 200, await response.clone().text())
    return (await response.json()) as Stream
  }

  /** All trades in the order in which the exchange gave them, without those that the platform missed while it was away. */
  const trades = async (count: number): Promise<LedgerTrade[]> => {
    const order = new Map(
      (await readLedger(join(folder.path, 'ledger'))).map((trade, i) => [tradeKey(trade), i]),
    )
    await until('what came is stored', async () => (await storedTrades(platform)).length >= count)
    return (await storedTrades(platform)).toSorted(
      (a, b) => (order.get(tradeKey(a)) ?? 0) - (order.get(tradeKey(b)) ?? 0),
    )
  }

  const assertLegs = (
    got: readonly LedgerTrade[],
    all: readonly LedgerTrade[],
    legs: Legs<LedgerTrade>,
  ): void => {
    const ofMarket = Map.groupBy(all, marketOf)
    for (const [market, own] of Map.groupBy(got, marketOf)) {
      const why = whyNotTheLegs(own.map(tradeKey), ofMarket.get(market) ?? [], tradeKey, legs)
      assert.equal(why, undefined, market)
    }
  }

  const more = (application: Application, events = 100): Promise<void> => {
    const goal = application.count + events
    return until('more comes', () => application.count >= goal)
  }

  test('to another filter and back: a live socket, one from before and one that starts late have each trade once', async () => {
    const stream = await create({ channel: 'trade', symbols: ['*'], where: 'size < 0.5' })
    const live = new Application(stream)
    await live.attach(await platform.api())
    await more(live)
    const old = new Application(stream)
    const moved = await modify(stream.id, { where: 'size >= 0.5' })
    assert.notEqual(moved.topic, stream.topic)
    assert.equal(
      (await modify(stream.id, { where: ' size>=0.5 ' })).topic,
      moved.topic,
      'an equal request moves nothing',
    )
    await more(live)
    await platform.kill()
    await platform.start()
    live.detach()
    await live.attach(await platform.api())
    await more(live)
    await modify(stream.id, { where: 'size < 0.5' })
    await modify(stream.id, { where: 'size < 0.25' })
    await more(live)
    live.detach()
    await old.attach(await platform.api())
    await until('the other one has as much', () => old.count >= live.count)
    old.detach()
    const all = await trades(live.count)
    const legs: Legs<LedgerTrade> = [
      ({ size }) => size < 0.5,
      ({ size }) => size >= 0.5,
      ({ size }) => size < 0.5,
      ({ size }) => size < 0.25,
    ]
    assertLegs(live.events, all, legs)
    assertLegs(old.events, all, legs)
    assert.deepEqual([...new Set([...live.told, ...old.told])], ['subscribed'])
  })
})
