import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { openEmbeddedBroker } from '../../src/adapters/broker/embedded.ts'
import type { OutgoingRecord } from '../../src/ports/broker.ts'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { parseTail } from './ledger.ts'
import { makeFolder, PlatformProcess, runCommand, until } from './platform-process.ts'

interface RawRecord {
  readonly key: string
  readonly value: string
}

interface DeadLetter {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly code: string
  readonly size: number
  readonly bytes: string
}

const trade = {
  exchange: 'elsewhere',
  symbol: 'BTC-USD',
  id: '1',
  side: 'buy',
  price: 1.5,
  size: 2,
  ts: 1_700_000_000_000_001,
  recvTs: 1_700_000_000_000_002,
}
const quote = { exchange: 'elsewhere', symbol: 'BTC-USD', bid: 1, ask: 2, ts: trade.ts, recvTs: trade.recvTs }
const candle = {
  ...{
    exchange: 'elsewhere',
    symbol: 'BTC-USD',
    interval: '1m',
    open: 1,
    high: 2,
    low: 1,
    close: 2,
    volume: 3,
  },
  ...{ trades: 4, ts: 1_700_000_000_000_000, closed: true, origin: 'source' },
}
const status = { source: 'elsewhere', exchange: '', state: 'connected', detail: 'fine', ts: trade.ts }

type Bad = readonly [topic: string, value: string | Uint8Array, code: string, version?: number]

/** Records that no table can take, with what the dead letter must say of them. */
const BAD: readonly Bad[] = [
  ['market.trades', '', 'EVENT_UNDECODABLE'],
  ['market.trades', '{"exchange":"elsewh', 'EVENT_UNDECODABLE'],
  ['market.trades', Uint8Array.from([0, 0xff, 0xfe, 0x80]), 'EVENT_UNDECODABLE'],
  ['market.trades', JSON.stringify(trade), 'EVENT_UNDECODABLE', 99],
  ['market.trades', 'x'.repeat(1_000_000), 'EVENT_UNDECODABLE'],
  ['market.trades', 'null', 'EVENT_INVALID'],
  ['market.trades', '[]', 'EVENT_INVALID'],
  ['market.trades', JSON.stringify({ ...trade, price: '1.5' }), 'EVENT_INVALID'],
  ['market.trades', JSON.stringify({ ...trade, price: null }), 'EVENT_INVALID'],
  ['market.trades', JSON.stringify(trade).replace('1.5', '1e999'), 'EVENT_INVALID'],
  ['market.trades', JSON.stringify({ ...trade, size: -1 }), 'EVENT_INVALID'],
  ['market.trades', JSON.stringify({ ...trade, side: 'both' }), 'EVENT_INVALID'],
  ['market.trades', JSON.stringify({ ...trade, ts: 1.5 }), 'EVENT_INVALID'],
  ['market.trades', JSON.stringify({ ...trade, ts: 1e300 }), 'EVENT_INVALID'],
  ['market.trades', JSON.stringify({ ...trade, id: 7 }), 'EVENT_INVALID'],
  ['market.trades', JSON.stringify({ ...trade, id: 'a\u0000b' }), 'EVENT_INVALID'],
  ['market.trades', JSON.stringify({ ...trade, symbol: 'S'.repeat(65) }), 'EVENT_INVALID'],
  ['market.trades', JSON.stringify({ ...trade, exchange: undefined }), 'EVENT_INVALID'],
  ['market.quotes', JSON.stringify({ ...quote, bid: 'high' }), 'EVENT_INVALID'],
  ['market.candles', JSON.stringify({ ...candle, trades: 2 ** 40 }), 'EVENT_INVALID'],
  ['market.status', JSON.stringify({ ...status, state: 'confused' }), 'EVENT_INVALID'],
  ['market.status', JSON.stringify({ ...status, detail: '\u0000' }), 'EVENT_INVALID'],
]

const bytesOf = (value: string | Uint8Array): Uint8Array =>
  typeof value === 'string' ? new TextEncoder().encode(value) : value

const record = (value: string | Uint8Array, v = 1): OutgoingRecord => ({
  key: 'elsewhere:BTC-USD',
  value: bytesOf(value),
  headers: { v, kind: 'event' },
})

describe('records that cannot be stored', () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>
  let simulator: Simulator
  let platform: PlatformProcess
  let data: string
  let topic: string
  /** Where each bad record lies: `topic:partition:offset`. */
  const places: string[] = []

  before(async () => {
    folder = await makeFolder()
    data = join(folder.path, 'data')
    await copyStoreTemplate(join(data, 'store'))
    simulator = await startSimulatorThread({ seed: 1, rate: 100 })
    platform = new PlatformProcess(data, ['--simulator', simulator.url])
    await platform.start()
    topic = (
      await platform.post<{ topic: string }>('/v1/streams', {
        ...{ channel: 'trade', symbols: ['*'], exchanges: ['elsewhere'], ttl: 0 },
      })
    ).topic
    assert.equal(await platform.stop(), 0, platform.output)
    await publishFromOutside()
    await platform.start()
  })
  after(async () => {
    await platform.kill()
    await simulator.close()
    await folder.remove()
  })

  /** Writes each bad record between two good ones, all over the partitions. */
  async function publishFromOutside(): Promise<void> {
    const broker = await openEmbeddedBroker({ folder: join(data, 'broker') })
    try {
      for (const [i, [name, value, , version]] of BAD.entries()) {
        const good = (id: string): OutgoingRecord => record(JSON.stringify(goodEvent(name, id)))
        const partition = i % 4
        const records = [good(`${i}a`), record(value, version), good(`${i}b`)]
        const [ack] = await broker.publish([{ topic: name, partition, records }], AbortSignal.timeout(5_000))
        places.push(`${name}:${partition}:${(ack?.baseOffset ?? 0) + 1}`)
      }
    } finally {
      await broker.close()
    }
  }

  const deadLetters = async (): Promise<RawRecord[]> =>
    (await platform.get<{ records: RawRecord[] }>('/v1/topics/tapeline.dead-letters/records?limit=1000'))
      .records

  test('each becomes a dead letter, with its position, its code and its bytes', async () => {
    await until('the dead letters are written', async () => (await deadLetters()).length >= BAD.length)
    const letters = new Map(
      (await deadLetters()).map(({ key, value }) => [key, JSON.parse(value) as DeadLetter]),
    )
    assert.deepEqual([...letters.keys()].sort(), [...places].sort())
    for (const [i, [name, value, code]] of BAD.entries()) {
      const place = places[i] ?? ''
      const letter = letters.get(place)
      assert.equal(letter?.code, code, `${place} ${String(value).slice(0, 100)}`)
      assert.equal(`${letter.topic}:${letter.partition}:${letter.offset}`, place)
      assert.equal(letter.topic, name)
      const bytes = Buffer.from(bytesOf(value))
      assert.equal(letter.size, bytes.length)
      const kept = Buffer.from(letter.bytes, 'base64')
      assert.ok(kept.length === bytes.length || kept.length === 512 * 1024, `${kept.length} bytes are kept`)
      assert.ok(kept.equals(bytes.subarray(0, kept.length)), 'and they are those of the record')
    }
    await until('they are counted', async () => (await platform.metric('dead_letters_total')) >= BAD.length)
    assert.equal(await platform.metric('dead_letters_total'), BAD.length)
  })

  test('the good ones beside them are stored, and streams have them', async () => {
    const ids = BAD.flatMap(([name], i) => (name === 'market.trades' ? [`${i}a`, `${i}b`] : [])).sort()
    const stored = async (): Promise<string[]> => {
      const rows = await platform.sql<{ id: string }>(`select id from trades where exchange = 'elsewhere'`)
      return rows.map(({ id }) => id).sort()
    }
    await until('they are stored', async () => (await stored()).length >= ids.length)
    assert.deepEqual(await stored(), ids)
    for (const table of ['quotes', 'candles', 'status']) {
      const column = table === 'status' ? 'source' : 'exchange'
      const has = `select 1 from ${table} where ${column} = 'elsewhere'`
      await until(`${table} has the good one`, async () => (await platform.sql(has)).length > 0)
    }
    let streamed: string[] = []
    await until('the stream has them', async () => {
      const { code, stdout, stderr } = await runCommand([
        ...['tail', topic, '--from', 'earliest', '--json', '--exit', '--data', data],
      ])
      assert.equal(code, 0, stderr)
      streamed = parseTail(stdout).map(({ id }) => id)
      return streamed.length >= ids.length
    })
    assert.deepEqual(streamed.sort(), ids)
  })

  test('nothing stops, and nothing is done twice after another start', async () => {
    const count = async (): Promise<number> => {
      const [row] = await platform.sql<{ n: number }>(
        `select count(*) as n from trades where exchange <> 'elsewhere'`,
      )
      return Number(row?.n)
    }
    const before = await count()
    await until('trades of the simulator are stored', async () => (await count()) > before)
    await until('no machine is in error', async () => {
      const { actors } = await platform.get<{ actors: { errorInfo: unknown }[] }>('/v1/actors')
      return actors.every(({ errorInfo }) => errorInfo === null)
    })
    assert.equal(await platform.stop(), 0, platform.output)
    await platform.start()
    const again = await count()
    await until('trades are stored', async () => (await count()) > again)
    assert.equal((await deadLetters()).length, BAD.length)
  })
})

function goodEvent(topic: string, id: string): object {
  if (topic === 'market.quotes') return quote
  if (topic === 'market.candles') return candle
  return topic === 'market.status' ? status : { ...trade, id }
}
