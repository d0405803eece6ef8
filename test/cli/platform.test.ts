import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { WebSocket } from 'ws'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { type LedgerTrade, parseTail } from '../e2e/ledger.ts'
import {
  type CommandResult,
  interrupt,
  makeFolder,
  PlatformProcess,
  runCommand,
  startCommand,
  until,
} from '../e2e/platform-process.ts'
import type { Report } from '../e2e/start-up.ts'
import { freePort } from '../servers/free-port.ts'
import { copyStoreTemplate } from '../store-template.ts'

interface Stream {
  readonly id: string
  readonly topic: string
  readonly ttl: number
  readonly spec: object
}

let simulator: Simulator
let platform: PlatformProcess
let folder: Awaited<ReturnType<typeof makeFolder>>
let data: string
let inspect: number

before(async () => {
  folder = await makeFolder()
  data = join(folder.path, 'data')
  await copyStoreTemplate(join(data, 'store'))
  simulator = await startSimulatorThread({ seed: 7, rate: 200 })
  inspect = await freePort()
  platform = new PlatformProcess(data, ['--simulator', simulator.url, '--inspect', String(inspect)])
  await platform.start()
})

after(async () => {
  await platform.stop()
  await simulator.close()
  await folder.remove()
})

/** Runs a command on the data folder of the test. */
function tapeline(...args: readonly string[]): Promise<CommandResult> {
  return runCommand([...args, '--data', data])
}

/** The JSON that a command prints; it must succeed. */
async function json<T>(...args: readonly string[]): Promise<T> {
  const { stdout, stderr, code } = await tapeline(...args, '--json')
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout) as T
}

async function fails(code: string, message: RegExp, ...args: readonly string[]): Promise<void> {
  const result = await tapeline(...args)
  assert.equal(result.code, 1, `${args.join(' ')}: ${result.stdout}${result.stderr}`)
  assert.equal(result.stdout, '')
  assert.match(result.stderr, new RegExp(`^${code}: .+\n.+`))
  assert.match(result.stderr, message)
  assert.doesNotMatch(result.stderr, /^\s+at /m, 'no stack')
}

const tradeFields = ['exchange', 'symbol', 'id', 'side', 'price', 'size', 'ts', 'recvTs']

describe('while the platform runs', () => {
  test('--inspect serves what the machines do', async (t) => {
    const socket = new WebSocket(`ws://127.0.0.1:${inspect}`)
    t.after(() => socket.terminate())
    const heard = { '@xstate.actor': new Set<string>(), '@xstate.snapshot': new Set<string>() }
    socket.on('message', (text) => {
      const { type, sessionId } = JSON.parse(String(text)) as { type: keyof typeof heard; sessionId: string }
      heard[type]?.add(sessionId)
    })
    await until('the machines are told', () => heard['@xstate.actor'].size >= 3, 30_000)
    for (const actor of ['producer', 'coordinator', 'consumer-fixed'])
      assert.ok(heard['@xstate.actor'].has(actor))
    await until('the producer moves', () => heard['@xstate.snapshot'].has('producer'), 30_000)
  })

  test('streams are asked for, listed, shown and ended', async () => {
    const body = '{"channel":"quote","symbols":["btc-usd"],"exchanges":["Coinbase"],"ttl":"90s"}'
    const [created, quotes] = await Promise.all([
      tapeline('streams', 'create', '--channel', 'trade', '--symbols', 'BTC-*,ETH-*'),
      json<Stream>('streams', 'create', body),
    ])
    const id = created.stdout.trim()
    assert.match(id, /^\w+$/, 'only the id is on standard output')
    assert.ok(created.stderr.includes(`tail ${id} --data ${data}`), created.stderr)
    assert.deepEqual(quotes.spec, { channel: 'quote', symbols: ['BTC-USD'], exchanges: ['coinbase'] })
    assert.equal(quotes.ttl, 90)

    const [{ streams }, table, shown, topics] = await Promise.all([
      json<{ streams: Stream[] }>('streams'),
      tapeline('streams', 'list'),
      json<Stream>('streams', 'show', quotes.id),
      json<{ topics: { name: string; end: number }[] }>('streams', 'topics', '--all'),
    ])
    assert.deepEqual(streams.map((each) => each.id).toSorted(), [id, quotes.id].toSorted())
    assert.deepEqual(
      shown,
      streams.find((each) => each.id === quotes.id),
    )
    assert.match(table.stdout, new RegExp(`^${quotes.id} +quote +BTC-USD +coinbase +${quotes.topic}`, 'm'))
    const names = topics.topics.map(({ name }) => name)
    for (const name of ['market.trades', 'tapeline.registry', quotes.topic])
      assert.ok(names.includes(name), name)

    assert.deepEqual(await json('streams', 'delete', quotes.id, id), { deleted: [quotes.id, id] })
    const [left] = await Promise.all([
      json('streams', 'list'),
      fails('STREAM_UNKNOWN', new RegExp(id), 'streams', 'show', id),
    ])
    assert.deepEqual(left, { streams: [] })
  })

  test('a stream is moved to another request, and who reads it goes on', async (t) => {
    const body = '{"channel":"trade","symbols":["BTC-*"],"where":"size > 0.0"}'
    const { id, topic } = await json<Stream>('streams', 'create', body)
    const reading = startCommand(['tail', id, '--json', '--data', data])
    t.after(() => reading.kill('SIGKILL'))
    let printed = ''
    reading.stdout?.on('data', (chunk: Buffer) => (printed += chunk.toString()))
    await until('trades are printed', () => printed.includes('"price"'))

    const moved = await tapeline('streams', 'modify', id, '--channel', 'quote', '--where', '')
    assert.deepEqual([moved.code, moved.stdout], [0, `${id}\n`], moved.stderr)
    const { spec, topic: next } = await json<Stream>('streams', 'show', id)
    assert.deepEqual(spec, { channel: 'quote', symbols: ['BTC-*'], exchanges: [] })
    assert.ok(moved.stderr.includes(`quote of BTC-* on all exchanges, in the topic ${next}.`), moved.stderr)
    await until('quotes are printed', () => printed.includes('"bid"'))
    const back = await json<Stream>('streams', 'modify', id, '{"channel":"trade"}')
    assert.deepEqual(back.spec, { ...spec, channel: 'trade' })
    assert.equal(new Set([topic, next, back.topic]).size, 3, 'a lease never goes back to a topic')
    const printedBefore = printed.length
    await until('trades are printed again', () => printed.slice(printedBefore).includes('"price"'))
    assert.equal(await interrupt(reading), 0)

    await fails('INPUT_INVALID', /where/, 'streams', 'modify', id, '--where', 'size >')
    await json('streams', 'delete', id)
    await fails('STREAM_UNKNOWN', new RegExp(id), 'streams', 'modify', id, '--symbols', 'ETH-*')
  })

  test('a request that is not acceptable names each field', async () => {
    const body = '{"channel":"x","symbols":["?"]}'
    await fails('INPUT_INVALID', /channel .*\n.*symbols/, 'streams', 'create', body)
  })

  test('tail of a stream prints its events as they come, and its whole topic with --exit', async () => {
    const { id, topic } = await json<Stream>('streams', 'create', '{"channel":"trade","symbols":["BTC-*"]}')
    const live = await tapeline('tail', id, '--limit', '20', '--json')
    assert.equal(live.code, 0, live.stderr)
    const trades = parseTail(live.stdout)
    assert.equal(trades.length, 20)
    await until('the stream is known to have been read', async () => {
      const { lastReadAt } = await json<{ lastReadAt: string | null }>('streams', 'show', id)
      return lastReadAt !== null
    })
    const table = await tapeline('streams')
    assert.match(table.stdout, new RegExp(`^${id} .* (now|\\d+s ago)$`, 'm'))
    for (const trade of trades) {
      assert.deepEqual(Object.keys(trade), tradeFields)
      assert.match(trade.symbol, /^BTC-/)
    }
    const [whole, begun, ofTopic] = await Promise.all([
      tapeline('tail', id, '--from', 'earliest', '--exit', '--json'),
      tapeline('tail', id, '--from', 'earliest', '--limit', '10', '--json'),
      tapeline('tail', topic, '--from', 'earliest', '--exit', '--json'),
    ])
    assert.deepEqual([whole.code, begun.code, ofTopic.code], [0, 0, 0], whole.stderr + begun.stderr)
    const ids = (text: string) => parseTail(text).map(keyOf)
    const all = ids(whole.stdout)
    assert.equal(new Set(all).size, all.length)
    const from = all.indexOf(trades.map(keyOf)[0] ?? '')
    assert.deepEqual(all.slice(from, from + 20), trades.map(keyOf))
    assert.deepEqual(ids(begun.stdout), all.slice(0, 10))
    const common = Math.min(all.length, ids(ofTopic.stdout).length)
    assert.deepEqual(ids(ofTopic.stdout).slice(0, common), all.slice(0, common))
  })

  test('tail of a fixed topic reads all partitions', async () => {
    let before: LedgerTrade[] = []
    await until('trades are stored', async () => {
      before = await json<LedgerTrade[]>('sql', 'select exchange, symbol, id from trades')
      return before.length > 100
    })
    const { stdout } = await tapeline('tail', 'market.trades', '--from', 'earliest', '--exit', '--json')
    const keys = parseTail(stdout).map(keyOf)
    assert.equal(new Set(keys).size, keys.length)
    const printed = new Set(keys)
    assert.deepEqual(
      before.map(keyOf).filter((key) => !printed.has(key)),
      [],
      'what is stored is in the topic',
    )
  })

  test('Ctrl-C ends tail cleanly, and so does a reader that goes away', async () => {
    const interrupted = startCommand(['tail', 'market.trades', '--data', data])
    const [line] = (await once(interrupted.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
    assert.match(String(line), /^\d{4}-\d\d-\d\dT[\d:.]+Z \w+ +[\w-]+ +(buy|sell|unknown) /)
    interrupted.kill('SIGINT')
    assert.deepEqual(await once(interrupted, 'close'), [0, null])

    const piped = startCommand(['tail', 'market.trades', '--data', data])
    await once(piped.stdout as NodeJS.ReadableStream, 'data')
    piped.stdout?.destroy()
    assert.deepEqual(await once(piped, 'exit'), [0, null])
  })

  test('markets are those whose trades are stored', async () => {
    const { markets } = await json<{ markets: { symbol: string; trades: number }[] }>('markets', '--stored')
    assert.ok(markets.length > 0 && markets.every(({ trades }) => trades > 0))
    const { stdout } = await tapeline('markets', '--symbol', markets[0]?.symbol ?? '')
    assert.match(stdout, /^SYMBOL +EXCHANGE +ITS NAME +STATUS +READ +LAST +TRADES\n/)
  })

  test('sql prints microseconds and big integers exactly', async () => {
    const statement = `select timestamptz '2026-01-02 03:04:05.000006+00' as at, 9007199254740993::bigint as big,
      9007199254740991::bigint as safe, 0.1::float8 as price, null as nothing, 'a' as text`
    const [rows, table] = await Promise.all([json('sql', statement), tapeline('sql', statement)])
    assert.deepEqual(rows, [
      {
        at: '2026-01-02T03:04:05.000006Z',
        big: '9007199254740993',
        safe: 9_007_199_254_740_991,
        price: 0.1,
        nothing: null,
        text: 'a',
      },
    ])
    assert.match(
      table.stdout,
      /^at +big +safe +price +nothing +text\n-+ .*\n2026-01-02T03:04:05\.000006Z +9007199254740993 /,
    )
    assert.equal(table.stderr, '1 row\n')
  })

  test('sql says what is wrong with a statement', async () => {
    await Promise.all([
      fails('SQL_READ_ONLY', /DELETE/, 'sql', 'delete from trades'),
      fails('SQL_INVALID', /no_such_table/, 'sql', 'select * from no_such_table'),
      fails('SQL_TOO_LARGE', /more than 2 rows/, 'sql', 'select generate_series(1, 3)', '--max-rows', '2'),
    ])
  })

  test('actors are listed and reset', async () => {
    const { actors } = await json<{
      actors: { id: string; machine: string; state: string; restarts: number }[]
    }>('actors')
    const table = (await tapeline('actors')).stdout
    assert.match(table, /^producer +producer +\w+ +shards 0-3 /m)
    assert.match(table, /^coordinator +coordinator +\w+ +leads /m)
    assert.match(table, /^consumer-fixed +consumerFixed +\w+ +\d+ partitions /m)
    const machines = new Map(actors.map(({ id, machine }) => [id, machine]))
    assert.equal(machines.get('producer'), 'producer')
    assert.equal(machines.get('coordinator'), 'coordinator')
    assert.equal(machines.get('consumer-fixed'), 'consumerFixed')
    assert.deepEqual(await json('actors', 'reset', 'producer'), { id: 'producer', event: 'RESET' })
    const stored = () =>
      platform.sql<{ n: number }>('select count(*) as n from trades').then(([row]) => row?.n ?? 0)
    const before = await stored()
    await until('trades are stored after RESET', async () => (await stored()) > before)
    await fails('ACTOR_UNKNOWN', /nobody/, 'actors', 'reset', 'nobody')
  })

  test('steps of the machines are watched as they come, until Ctrl-C', async () => {
    const child = startCommand(['actors', '--watch', '--data', data])
    let output = ''
    child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()))
    await until('the producer has made a step', () =>
      /^[\d:.]{12} {2}producer +\w+ DATA_READY -> \w+$/m.test(output),
    )
    assert.equal(await interrupt(child), 0)
  })

  test('--api names the platform without its folder', async () => {
    const { code, stdout } = await runCommand(['actors', '--api', await platform.api()])
    assert.equal(code, 0)
    assert.match(stdout, /^producer +producer /m)
  })

  test('doctor finds everything well', async () => {
    const { ok, findings } = await json<Report>('doctor', '--simulator', simulator.url, '--port', '0')
    assert.ok(ok, JSON.stringify(findings))
    assert.deepEqual(statuses(findings), {
      node: 'ok',
      configuration: 'ok',
      'data folder': 'ok',
      disk: 'ok',
      lock: 'ok',
      broker: 'ok',
      store: 'ok',
      'source key': 'ok',
      source: 'ok',
      'source REST': 'ok',
      'source markets': 'ok',
      port: 'ok',
      platform: 'ok',
    })
    assert.match(detail(findings, 'store'), /TimescaleDB \S+ is loaded on PostgreSQL \S+, licence timescale/)
    assert.match(detail(findings, 'platform'), new RegExp(await platform.api()))
  })

  test('doctor asks a platform that runs how its source is, and not the service that is configured here', async () => {
    const { stdout } = await tapeline('doctor', '--port', '0')
    assert.match(stdout, /^ok +source +the running platform has \d+ markets, by websocket$/m)
    assert.doesNotMatch(stdout, /CRYPTOCOMPARE|cryptocompare/)
  })

  test('migrate leaves a running platform alone', async () => {
    await fails('DATA_FOLDER_LOCKED', /Nothing to do/, 'migrate')
  })
})

describe('when it has stopped', () => {
  before(async () => {
    assert.equal(await platform.stop(), 0, platform.output)
  })

  test('sql and tail open the folder themselves, whatever run file a killed platform left behind', async () => {
    await writeFile(join(data, 'run.json'), JSON.stringify({ pid: process.pid, api: 'http://127.0.0.1:1' }))
    const rows = await json<{ exchange: string; symbol: string; id: string }[]>(
      'sql',
      'select exchange, symbol, id from trades',
    )
    const { stdout, stderr, code } = await tapeline('tail', 'market.trades', '--from', 'earliest', '--json')
    assert.equal(code, 0, stderr)
    assert.match(stderr, /no platform runs .*this is all there is/)
    const { topics } = await json<{ topics: { name: string }[] }>('streams', 'topics', '--all')
    assert.ok(topics.some(({ name }) => name === 'market.trades'))
    const printed = new Set(parseTail(stdout).map(keyOf))
    assert.ok(rows.length > 100)
    assert.deepEqual(
      rows.map(keyOf).filter((key) => !printed.has(key)),
      [],
    )
  })

  test('what needs a platform says so', async () => {
    await Promise.all([
      fails('NOT_RUNNING', /npm start/, 'streams'),
      fails('NOT_RUNNING', /npm start/, 'tail', 'some-stream'),
      fails('NOT_RUNNING', /npm start/, 'actors'),
    ])
  })

  test('sql and tail make no folder where none is', async () => {
    const nowhere = join(folder.path, 'nowhere')
    for (const args of [
      ['sql', 'select 1'],
      ['tail', 'market.trades'],
    ]) {
      const { code, stderr } = await runCommand([...args, '--data', nowhere])
      assert.equal(code, 1)
      assert.match(stderr, /^DATA_FOLDER_UNUSABLE: .*nowhere/)
    }
  })

  test('migrate has nothing to do', async () => {
    const { applied, current, missing } = await json<{
      applied: string[]
      current: string
      missing: string[]
    }>('migrate')
    assert.deepEqual(applied, [])
    assert.match(current, /^\d{4}-/)
    assert.deepEqual(missing, [])
  })

  test('doctor opens broker and store itself, and fails with remedies', async () => {
    const dead = 'http://127.0.0.1:1'
    const { code, stdout } = await tapeline('doctor', '--json', '--port', '0', '--simulator', dead)
    const { ok, findings } = JSON.parse(stdout) as Report
    assert.deepEqual([code, ok], [1, false])
    const { source, 'source REST': rest, ...others } = statuses(findings)
    assert.deepEqual([source, rest], ['fail', 'fail'])
    assert.deepEqual(new Set(Object.values(others)), new Set(['ok']), stdout)
    for (const finding of findings) assert.equal(finding.remedy !== undefined, finding.status !== 'ok')
    assert.match(detail(findings, 'broker'), /\d+ topics, \d+ records/)
  })

  test('doctor names each setting that is not acceptable', async () => {
    const file = join(folder.path, 'tapeline.yaml')
    await writeFile(file, 'topics: { partitions: 0 }\nstore: { retention: soon }\n')
    const { code, stdout } = await tapeline('doctor', '--config', file)
    assert.equal(code, 1)
    assert.match(stdout, /^FAIL +configuration +topics\.partitions /m)
    assert.match(stdout, /^FAIL +configuration +store\.retention /m)
  })
})

function keyOf({ exchange, symbol, id }: Pick<LedgerTrade, 'exchange' | 'symbol' | 'id'>): string {
  return `${exchange}:${symbol}:${id}`
}

function statuses(findings: Report['findings']): Record<string, string> {
  return Object.fromEntries(findings.map(({ check, status }) => [check, status]))
}

function detail(findings: Report['findings'], name: string): string {
  return findings.find(({ check }) => check === name)?.detail ?? ''
}
