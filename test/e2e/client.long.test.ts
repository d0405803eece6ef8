import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createClient, type StreamEvent } from '../../src/client/index.ts'
import { historyAndLive } from '../../src/client/joined.ts'
import { parseIsoMicros } from '../../src/domain/time.ts'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { type Legs, whyNotTheLegs } from '../legs.ts'
import { startTcpProxy, type TcpProxy } from '../servers/tcp-proxy.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { byMarket, type LedgerTrade, storedTrades, tradeKey } from './ledger.ts'
import { makeFolder, PlatformProcess, until } from './platform-process.ts'

const SEED = Number(process.env['TAPELINE_SEED'] ?? Date.now() % 1_000_000)
const CUTS = 10

describe(`the client on a platform (seed ${SEED})`, () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>
  let simulator: Simulator
  let platform: PlatformProcess
  let proxy: TcpProxy
  let url: string

  before(async () => {
    folder = await makeFolder()
    await copyStoreTemplate(join(folder.path, 'data', 'store'))
    simulator = await startSimulatorThread({ seed: SEED, rate: 200 })
    platform = new PlatformProcess(join(folder.path, 'data'), ['--simulator', simulator.url])
    await platform.start()
    proxy = await startTcpProxy({ target: { port: Number(new URL(await platform.api()).port) } })
    url = `http://127.0.0.1:${proxy.port}`
  })
  after(async () => {
    await proxy.close()
    await platform.kill()
    await simulator.close()
    await folder.remove()
  })

  /** Market by market what came is what the platform stored, from the first to the last that came, each once. */
  const assertWhole = async (came: readonly LedgerTrade[], wanted: string) => {
    let stored = new Map<string, LedgerTrade[]>()
    await until('all that came is stored', async () => {
      const rows = await platform.sql<LedgerTrade & { ts: string }>(
        `select * from trades where symbol like 'BTC-%' and (${wanted}) order by exchange, symbol, ts, id`,
      )
      stored = byMarket(rows.map((row) => ({ ...row, ts: parseIsoMicros(row.ts) ?? -1 })))
      const isThere = (market: string, id?: string) => stored.get(market)?.some((each) => each.id === id)
      return [...byMarket(came)].every(([market, trades]) => isThere(market, trades.at(-1)?.id))
    })
    for (const [market, trades] of byMarket(came)) {
      const all = stored.get(market) ?? []
      const [from, to] = [0, -1].map((at) => all.findIndex(({ id }) => id === trades.at(at)?.id))
      assert.deepEqual(trades.map(tradeKey), all.slice(from, (to ?? 0) + 1).map(tradeKey), market)
    }
  }

  test('a filtered stream has exactly the stored trades while its connections are cut and the platform is killed', async () => {
    const client = createClient({ url })
    const stream = client.stream({ channel: 'trade', symbols: ['BTC-*'], where: 'size >= 0.02' })
    const came: StreamEvent<'trade'>[] = []
    const stop = new AbortController()
    const resets: unknown[] = []
    const loop = (async () => {
      for await (const event of stream) {
        if (event.type === 'trade') came.push(event)
        else resets.push(event)
        if (stop.signal.aborted) return
      }
    })()
    const more = async (count: number) => {
      const goal = came.length + count
      await until('more trades came', () => came.length >= goal)
    }
    for (let cut = 0; cut < CUTS; cut++) {
      await more(20)
      proxy.cut()
    }
    await more(20)
    proxy.cut({ refuse: true })
    await platform.kill()
    await platform.start()
    await proxy.close()
    proxy = await startTcpProxy({
      target: { port: Number(new URL(await platform.api()).port) },
      port: Number(new URL(url).port),
    })
    await more(20)
    stop.abort()
    await loop
    assert.deepEqual(resets, [])
    await assertWhole(came, 'size >= 0.02')
  })

  test('history is what is stored, and history and live together are all that is stored, without a hole or a repeat', async () => {
    const client = createClient({ url })
    const [market] = (await client.markets({ symbol: 'BTC-*' })).toSorted((a, b) => b.trades - a.trades)
    assert.ok(market !== undefined && market.trades > 100)
    const { symbol, exchange, first, last: to } = market
    assert.ok(first !== null && to !== null)
    const stored: string[] = []
    for await (const trade of client.trades({ symbol, exchange, to })) stored.push(trade.id)
    const [{ n } = { n: 0 }] = await platform.sql<{ n: number }>(
      `select count(*) as n from trades where symbol = '${symbol}' and exchange = '${exchange}' and ts <= '${to}'`,
    )
    assert.deepEqual([stored.length, new Set(stored).size], [n, n])

    const request = {
      channel: 'trade',
      symbols: ['BTC-*'],
      exchanges: [exchange],
      from: first,
    } as const
    /** Undefined where the client says that the database was further behind than the overlap. */
    const readAll = async (overlap: number): Promise<StreamEvent<'trade'>[] | undefined> => {
      const came: StreamEvent<'trade'>[] = []
      const goal = Date.now() * 1000
      for await (const event of historyAndLive({ url, key: undefined }, request, undefined, overlap)) {
        if (event.type !== 'trade') return undefined
        came.push(event)
        if (event.ts > goal + 2_000_000) break
      }
      return came
    }
    let came: StreamEvent<'trade'>[] = []
    let overlap = 3_000_000
    await until('the database keeps up', async () => {
      came = (await readAll(overlap)) ?? []
      overlap *= 2
      return came.length > 0
    })
    assert.ok(came.length > market.trades)
    await assertWhole(came, `exchange = '${exchange}'`)
  })

  // A new environment takes a minute: made by the first test that needs it.
  let environment: ReturnType<typeof freshPython> | undefined

  /** Runs a program with the client for Python; gives it, and the lines that it prints and says, as they come. Undefined where it cannot run. */
  const startPython = async (t: TestContext, program: string) => {
    environment ??= freshPython(t, folder.path)
    const python = await environment
    if (python === undefined) {
      t.skip('no python3 with venv, or no websockets to install: its client did not run')
      return undefined
    }
    const child = spawn(python, [fileURLToPath(new URL(program, import.meta.url)), url], {
      env: { ...process.env, PYTHONPATH: fileURLToPath(new URL('../../clients/python', import.meta.url)) },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    t.after(() => child.kill('SIGKILL'))
    const printed: (LedgerTrade & { readonly type: string })[] = []
    const said: string[] = []
    child.stderr.on('data', (data: Buffer) => said.push(data.toString()))
    createInterface(child.stdout).on('line', (line) => printed.push(JSON.parse(line)))
    return { child, printed, said }
  }

  test('the client for Python has exactly the stored trades too, in a fresh environment', async (t) => {
    const program = await startPython(t, 'client.py')
    if (program === undefined) return
    const { child, printed, said } = program
    const trades = () => printed.filter(({ type }) => type === 'trade')
    for (let cut = 0; cut < CUTS; cut++) {
      const goal = trades().length + 20
      await until(`more trades came (${said})`, () => trades().length >= goal || child.exitCode !== null)
      proxy.cut()
    }
    const client = createClient({ url })
    const stream = (await client.streams.list()).find(({ spec }) => spec.where === 'size >= 0.03')
    await client.streams.delete(stream?.id ?? assert.fail('the stream is not there'))
    await until('the loop has ended', () => child.exitCode !== null)
    assert.equal(child.exitCode, 0, said.join(''))
    const came = trades()
    const [end, history] = printed.slice(came.length) as unknown as Record<string, unknown>[]
    assert.equal(end?.['type'], 'end')
    const [{ n } = { n: 0 }] = await platform.sql<{ n: number }>(
      `select count(*) as n from trades where symbol = 'BTC-USD' and ts <= '${history?.['to']}'`,
    )
    assert.deepEqual(
      [history?.['type'], history?.['rows'], history?.['refused']],
      ['history', n, 'INPUT_INVALID'],
    )
    assert.deepEqual(history?.['states'], ['paused', 1, 'active', 0])
    await assertWhole(came, 'size >= 0.03')
  })

  test('a loop of Python goes on while its stream moves, trades to quotes and back: each event once', async (t) => {
    const program = await startPython(t, 'client_moves.py')
    if (program === undefined) return
    const { child, printed, said } = program
    for (let cut = 0; cut < CUTS; cut++) {
      const goal = printed.length + 10
      await until(`more came (${said})`, () => printed.length >= goal || child.exitCode !== null)
      proxy.cut()
    }
    await until(`the loop has ended (${said})`, () => child.exitCode !== null)
    assert.equal(child.exitCode, 0, said.join(''))
    const { topics, refused } = printed.at(-1) as unknown as { topics: string[]; refused: string }
    assert.deepEqual([new Set(topics).size, refused], [2, 'INPUT_INVALID'])
    const events = printed.slice(0, -2)
    const changes = events.filter(({ type }, i) => i > 0 && type !== events[i - 1]?.type)
    assert.deepEqual(
      changes.map(({ type }) => type),
      ['quote', 'trade'],
    )
    const came = events.filter(({ type }) => type === 'trade')
    const legs: Legs<LedgerTrade> = [() => true, () => false, () => true]
    let stored = new Map<string, LedgerTrade[]>()
    await until('all that came is stored', async () => {
      stored = byMarket(await storedTrades(platform))
      return [...byMarket(came)].every(([market, own]) =>
        own.every(({ id }) => stored.get(market)?.some((each) => each.id === id)),
      )
    })
    for (const [market, own] of byMarket(came)) {
      const why = whyNotTheLegs(own.map(tradeKey), stored.get(market) ?? [], tradeKey, legs)
      assert.equal(why, undefined, market)
    }
  })
})

const run = promisify(execFile)

/** The python of a new virtual environment with websockets in a folder; undefined where there can be none. */
async function freshPython(t: TestContext, folder: string): Promise<string | undefined> {
  const python = join(folder, 'venv', 'bin', 'python')
  try {
    await run('python3', ['-m', 'venv', join(folder, 'venv')], { timeout: 120_000 })
    await run(python, ['-m', 'pip', 'install', '--quiet', 'websockets>=14'], { timeout: 90_000 })
    return python
  } catch (error) {
    // Where CI=true nothing may be skipped.
    if (process.env['CI'] === 'true') throw error
    t.diagnostic((error as Error).message.split('\n').slice(0, 2).join(' '))
    return undefined
  }
}
