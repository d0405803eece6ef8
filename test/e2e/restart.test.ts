import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { byMarket, type LedgerTrade, readLedger, storedTrades, tradeKey } from './ledger.ts'
import {
  interrupt,
  makeFolder,
  PlatformProcess,
  runCommand,
  startCommand,
  until,
  untilReady,
} from './platform-process.ts'
import { StreamClient } from './stream-client.ts'

interface Stream {
  readonly id: string
  readonly topic: string
  readonly spec: { readonly symbols: readonly string[] }
}

describe('stopping and starting again', () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>
  let data: string
  let simulator: Simulator
  let platform: PlatformProcess
  let client: StreamClient
  let made: Stream[]
  /** What the application has got so far, over all its connections. */
  const trades: LedgerTrade[] = []
  let cursor = ''

  before(async () => {
    folder = await makeFolder()
    data = join(folder.path, 'data')
    await copyStoreTemplate(join(data, 'store'))
    simulator = await startSimulatorThread({ seed: 1, rate: 400, ledger: join(folder.path, 'ledger') })
    platform = new PlatformProcess(data, ['--simulator', simulator.url])
    await platform.start()
    const specs = [
      { channel: 'trade', symbols: ['BTC-*'], ttl: 0 },
      { channel: 'quote', symbols: ['*'], exchanges: ['kraken'] },
    ]
    made = await Promise.all(specs.map((spec) => platform.post<Stream>('/v1/streams', spec)))
  })
  after(async () => {
    client.socket.terminate()
    await platform.kill()
    await simulator.close()
    await folder.remove()
  })

  const stream = (): string => made[0]?.id ?? ''

  /** Reads the stream from where the application stands, until it has got some trades more. */
  const read = async (): Promise<void> => {
    client = await StreamClient.open(await platform.api())
    client.send({ op: 'subscribe', stream: stream(), ...(cursor && { cursor }) })
    await until('trades arrived', () => client.count(stream()) > 300)
  }

  const leave = (): void => {
    client.cut()
    trades.push(...client.events(stream()))
    cursor = client.cursors.get(stream()) ?? ''
    assert.deepEqual(
      client.messages.map(({ op }) => op),
      ['subscribed'],
      'no reset and no error',
    )
  }

  const assertSameStreams = async (): Promise<void> => {
    const { streams } = await platform.get<{ streams: Stream[] }>('/v1/streams')
    const byId = (a: Stream, b: Stream): number => a.id.localeCompare(b.id)
    assert.deepEqual(streams.toSorted(byId).map(withoutAddress), made.toSorted(byId).map(withoutAddress))
  }

  test('a second process on the same folder says that it is locked, and disturbs nothing', async () => {
    await read()
    const { code, stderr } = await runCommand([
      'up',
      '--data',
      data,
      '--port',
      '0',
      '--simulator',
      simulator.url,
    ])
    assert.equal(code, 1)
    assert.match(stderr, /DATA_FOLDER_LOCKED/)
    const before = client.count(stream())
    await until('the first one goes on', () => client.count(stream()) > before)
  })

  test('Ctrl-C tells its sockets and ends it with exit code 0', async () => {
    const closed = once(client.socket, 'close')
    assert.equal(await platform.stop(), 0, platform.output)
    const [closeCode] = await closed
    assert.equal(closeCode, 1001, 'going away')
    leave()
  })

  test('started again it has the same streams, and an old cursor goes on', async () => {
    await platform.start()
    await assertSameStreams()
    await read()
  })

  test('so it has after a kill -9', async () => {
    await platform.kill()
    leave()
    await platform.start()
    await assertSameStreams()
    await read()
    leave()
  })

  test('over both the application has every stored trade from its first one on, in order, once', async () => {
    let rows: LedgerTrade[] = []
    await until('what it got is stored', async () => {
      rows = await storedTrades(platform)
      const have = new Set(rows.map(tradeKey))
      return trades.every((trade) => have.has(tradeKey(trade)))
    })
    const stored = byMarket(rows)
    let order = new Map<string, number>()
    await until('the ledger has it', async () => {
      order = new Map((await readLedger(join(folder.path, 'ledger'))).map((trade, i) => [tradeKey(trade), i]))
      return trades.every((trade) => order.has(tradeKey(trade)))
    })
    const place = (trade: LedgerTrade): number => order.get(tradeKey(trade)) ?? -1
    for (const [market, came] of byMarket(trades)) {
      const all = (stored.get(market) ?? []).sort((a, b) => place(a) - place(b)).map(tradeKey)
      const from = all.indexOf(tradeKey(came[0] as LedgerTrade))
      assert.deepEqual(came.map(tradeKey), all.slice(from, from + came.length), market)
    }
  })

  test('the demo goes on in the same folder, and Ctrl-C ends it with exit code 0', async () => {
    const rows = await platform.sql<{ n: number }>('select count(*) as n from trades')
    assert.equal(await platform.stop(), 0, platform.output)
    const demo = startCommand(['demo', '--data', data, '--port', '0'])
    let output = ''
    for (const pipe of [demo.stdout, demo.stderr]) pipe?.on('data', (chunk) => (output += String(chunk)))
    try {
      await untilReady(demo, data, () => output)
      await until('it stores more', async () => {
        const [row] = await platform.sql<{ n: number }>('select count(*) as n from trades')
        return Number(row?.n) > Number(rows[0]?.n)
      })
      assert.equal(await interrupt(demo), 0, output)
    } finally {
      demo.kill('SIGKILL')
    }
  })
})

/** Without what differs from one answer to the next: the address with its port, and the cursor, which only the answer to POST has. */
function withoutAddress(stream: Stream): object {
  return { ...stream, websocket: undefined, cursor: undefined }
}
