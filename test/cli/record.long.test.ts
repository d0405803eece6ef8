import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text as readAll } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { openUncompressed } from '../../src/adapters/source/recording/compression.ts'
import { openEmbeddedStore } from '../../src/adapters/store/embedded.ts'
import { isoMicros } from '../../src/domain/time.ts'
import { capture } from '../adapters/source/captures.ts'
import { SPEAKERS } from '../adapters/source/exchanges.ts'
import { Service, sendFrame } from '../adapters/source/service.ts'
import { deadline } from '../contract/store-fixtures.ts'
import {
  type CommandResult,
  interrupt,
  makeFolder,
  runCommand,
  startCommand,
  until,
} from '../e2e/platform-process.ts'
import { quietLog } from '../quiet.ts'
import { copyStoreTemplate } from '../store-template.ts'

const SECOND = 1_000_000
const begin = Math.floor(Date.now() / 1_000 - 600) * SECOND

/** A service of an exchange that answers what it is asked. */
async function startExchange(t: TestContext, name: string) {
  const speaker = SPEAKERS.find(({ kind }) => kind.name === name)
  assert.ok(speaker)
  const timesAsked = new Map<string, number>()
  const service = await Service.start(t, {
    received: (asked, socket) => {
      const names = speaker.asks(asked)
      if (names === undefined) return
      for (const each of names) timesAsked.set(each, (timesAsked.get(each) ?? 0) + 1)
      for (const each of speaker.answer(asked, [])) sendFrame(socket, each)
    },
  })
  const send = (from: number, to: number): void => {
    for (let i = from; i < to; i++) {
      const market = { exchange: name, symbol: i % 3 === 0 ? 'ETH-USD' : 'BTC-USD' }
      const [id, side, ts] = [String(1_000 + i), i % 2 === 0 ? 'buy' : 'sell', begin + i * SECOND] as const
      service.send(speaker.frame({ ...market, id, side, price: 100 + (i % 7), size: 1, ts }))
      const ticker = { bid: 99 + (i % 7), ask: 101 + (i % 7), last: 100, volume24h: 1_000 + i }
      service.send(speaker.frame({ ...market, ticker, ts }))
    }
  }
  /** Who is connected has all that was sent: it answers a ping after it. */
  const taken = () =>
    Promise.all(
      service.sockets.map(async (socket) => {
        const answered = once(socket, 'pong')
        socket.ping()
        await answered
      }),
    )
  /** Both markets were asked for since the last time. */
  const asked = async () => {
    const isWhole = (times: number) => times >= speaker.requests
    await until(`${name} is asked`, () => timesAsked.size === 2 && [...timesAsked.values()].every(isWhole))
    timesAsked.clear()
  }
  return { service, send, asked, taken }
}

/** Everything that replays of files into an empty platform leave: rows, candles and a stream, as text. */
async function replayed(folder: string, files: readonly string[]) {
  const data = join(folder, `data-${Math.random()}`)
  await copyStoreTemplate(join(data, 'store'))
  const config = join(folder, 'standing.yaml')
  await writeFile(config, 'streams: {standing: {all: {channel: trade, symbols: ["*"]}}}\n')
  const run = async (...args: readonly string[]): Promise<CommandResult> => {
    const result = await runCommand([...args, '--data', data])
    assert.equal(result.code, 0, `${args.join(' ')}: ${result.stderr}`)
    return result
  }
  const { stdout } = await run('replay', ...files, '--config', config, '--exit', '--json')
  const topics = JSON.parse((await run('streams', 'topics', '--json')).stdout) as {
    topics: { name: string }[]
  }
  const [topic] = topics.topics
  const tail = await run('tail', topic?.name ?? '', '--from', 'earliest', '--exit', '--json')
  const rows = await storedRows(join(data, 'store'))
  return { summary: JSON.parse(stdout) as { trades: number }, streamed: tail.stdout, rows }
}

/** All rows, and the candles made of them. The store is opened here: each command that opens it costs seconds of a core. */
async function storedRows(folder: string) {
  const store = await openEmbeddedStore({ folder, log: quietLog })
  try {
    const of = async (symbol: string) => {
      const query = { symbol, limit: 1_000 }
      return {
        trades: await store.trades(query, deadline()),
        quotes: await store.quotes(query, deadline()),
        candles: await store.candles({ ...query, interval: '1m', origin: 'trades' }, deadline()),
      }
    }
    return [await of('BTC-USD'), await of('ETH-USD')]
  } finally {
    await store.close()
  }
}

for (const [name, compression] of [
  ['kraken', 'zstd'],
  // What it calls a market belongs to the connection.
  ['bitfinex', 'none'],
] as const) {
  test(`${name} recorded with ${compression}, then replayed twice, gives the same rows, candles and streams to the byte`, async (t) => {
    const folder = await makeFolder()
    t.after(() => folder.remove())
    const { service, send, asked, taken } = await startExchange(t, name)
    const config = join(folder.path, 'tapeline.yaml')
    const source = {
      ...{ kind: name, url: service.url, markets: [`${name}:BTC-USD`, `${name}:ETH-USD`] },
      ...{ reconnect: '100ms', reconnectMax: '1s' },
    }
    await writeFile(config, JSON.stringify({ sources: [source] }))
    const out = join(folder.path, 'recordings')
    const record = ['record', '--config', config, '--out', out, '--compress', compression]

    const first = startCommand(record)
    t.after(() => first.kill('SIGKILL'))
    await asked()
    send(0, 60)
    await until('the frames are in the file', () => holds(out, 59))
    service.cut()
    await asked()
    send(60, 90)
    await taken()
    assert.equal(await interrupt(first), 0)
    // Started again, it goes on in a file of its own.
    const second = startCommand(record)
    t.after(() => second.kill('SIGKILL'))
    await asked()
    send(90, 120)
    await taken()
    assert.equal(await interrupt(second), 0)

    const files = (await readdir(out)).toSorted().map((file) => join(out, file))
    const found = await replayed(folder.path, files)
    const trades = found.rows.flatMap((of) => of.trades).toSorted((x, y) => Number(x.id) - Number(y.id))
    assert.deepEqual(
      trades.map(({ id, ts }) => [Number(id), ts]),
      Array.from({ length: 120 }, (_, i) => [1_000 + i, isoMicros(begin + i * SECOND)]),
      'the rows are those of the exchange',
    )
    assert.ok(
      found.rows.every(({ quotes, candles }) => quotes.length > 0 && candles.length > 0),
      'there are quotes and candles of each market',
    )
    assert.equal(found.streamed.trim().split('\n').length, 120)
    assert.deepEqual(await replayed(folder.path, files), found)
  })
}

test('a recorder that is killed leaves what can be replayed up to the cut', async (t) => {
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const { service, send, asked } = await startExchange(t, 'kraken')
  for (const compression of ['zstd', 'gzip', 'none']) {
    const out = join(folder.path, compression)
    const config = join(folder.path, 'tapeline.yaml')
    const source = { kind: 'kraken', url: service.url, markets: ['kraken:BTC-USD', 'kraken:ETH-USD'] }
    await writeFile(config, JSON.stringify({ sources: [source] }))
    const child = startCommand(['record', '--config', config, '--out', out, '--compress', compression])
    t.after(() => child.kill('SIGKILL'))
    await asked()
    send(0, 60)
    await until('the frames are in the file', () => holds(out, 59))
    send(60, 100)
    await until('the others are in the file too', () => holds(out, 99))
    const closed = once(child, 'close')
    child.kill('SIGKILL')
    await closed
    const [file = ''] = await readdir(out)
    const path = join(out, file)
    await truncate(path, (await readFile(path)).length - 7)
    const data = join(folder.path, `data-${compression}`)
    await copyStoreTemplate(join(data, 'store'))
    const { code, stdout, stderr } = await runCommand(['replay', path, '--data', data, '--exit', '--json'])
    assert.equal(code, 0, stderr)
    const { trades, malformed } = JSON.parse(stdout) as { trades: number; malformed: number }
    assert.ok(trades > 50, `${trades} trades of ${compression}`)
    assert.equal(malformed, 0)
  }
})

test('plain JSON lines, and files of others, are read by whose frames they are', async (t) => {
  const bybit = capture('bybit-v5-spot-trades-20260812.jsonl')
  const kraken = capture('KRAKEN.ws.50.0')
  if (bybit.skip) return t.skip(bybit.skip)
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const replay = async (...args: readonly string[]) => {
    const data = join(folder.path, `data-${Math.random()}`)
    await copyStoreTemplate(join(data, 'store'))
    return runCommand(['replay', ...args, '--data', data, '--exit', '--json'])
  }
  const { code, stdout, stderr } = await replay(bybit.path)
  assert.equal(code, 0, stderr)
  assert.equal((JSON.parse(stdout) as { trades: number }).trades, 11)
  assert.match(stderr, /Bybit/)
  const old = await replay(kraken.path, '--log-level', 'silent')
  assert.equal(old.code, 1)
  assert.match(
    old.stderr,
    /Nothing in .*KRAKEN\.ws\.50\.0 is a trade, quote or book of Kraken: it holds \d+ received frames/,
  )
  const lines = join(folder.path, 'okx.jsonl')
  const trade = { instId: 'BTC-USDT', tradeId: '1', px: '64040.2', sz: '0.0024', side: 'buy', count: '1' }
  const at = isoMicros(begin)
  const frame = {
    arg: { channel: 'trades', instId: 'BTC-USDT' },
    data: [{ ...trade, ts: String(Date.parse(at)) }],
  }
  await writeFile(lines, `${JSON.stringify(frame)}\n`)
  const okx = await replay(lines)
  assert.deepEqual([okx.code, (JSON.parse(okx.stdout) as { trades: number }).trades], [0, 1], okx.stderr)
})

/** Whether the files of a folder, read as far as they are written, have what was sent for the i-th trade. */
async function holds(folder: string, i: number): Promise<boolean> {
  const files = await readdir(folder).catch(() => [])
  const wanted = new RegExp(`\\b${1_000 + i}\\b`)
  for (const file of files) {
    const text = await readAll(await openUncompressed(join(folder, file), AbortSignal.timeout(10_000)))
    if (wanted.test(text)) return true
  }
  return false
}
