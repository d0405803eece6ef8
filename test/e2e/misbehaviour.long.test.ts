import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { actorsSchema } from '../../src/gateway/schemas/operations.ts'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { missedOutsideGaps, readLedger, storedTrades, tradeKey, untilSettled } from './ledger.ts'
import { makeFolder, PlatformProcess, runCommand, until } from './platform-process.ts'
import { assertDrawn, readTrace } from './trace.ts'

const RATE = 400
/** More trades than the simulator repeats on a subscribe, over all markets: some are missed for good. */
const MISSED = 400

/** Much shorter than the rules of the real service; not shorter, since no more than 60 connects are made a minute. */
const TIMING = {
  TAPELINE_SOURCE_RECONNECT: '1s',
  TAPELINE_SOURCE_RECONNECT_MAX: '2s',
  TAPELINE_SOURCE_TIMEOUT: '1s',
  TAPELINE_SOURCE_STALE_AFTER: '1s',
  TAPELINE_SOURCE_FALLBACK_AFTER: '500ms',
  TAPELINE_SOURCE_POLL_EVERY: '200ms',
}

type Outage = readonly [mode: string, codes: readonly string[]]

const OUTAGES: readonly Outage[] = [
  ['drop', ['SOURCE_UNAVAILABLE']],
  ['stall', ['SOURCE_STALE', 'SOURCE_UNAVAILABLE', 'TIMEOUT']],
  ['401', ['SOURCE_UNAUTHORIZED']],
  ['close', ['SOURCE_UNAVAILABLE']],
]
/** The last one: after it REST is left alone for a minute. */
const RATE_LIMIT: Outage = ['429', ['SOURCE_RATE_LIMITED']]

describe('a source that misbehaves', () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>
  let simulator: Simulator
  let platform: PlatformProcess
  let data: string
  const ledger = (): string => join(folder.path, 'ledger')
  const trace = (): string => join(folder.path, 'trace')

  before(async () => {
    folder = await makeFolder()
    data = join(folder.path, 'data')
    await copyStoreTemplate(join(data, 'store'))
    simulator = await startSimulatorThread({ seed: 1, rate: RATE, ledger: ledger() })
    platform = new PlatformProcess(data, ['--simulator', simulator.url, '--trace', trace()], TIMING)
    await platform.start()
    await until('trades are stored', async () => (await count('trades')) > 0)
  })
  after(async () => {
    await platform.kill()
    await simulator.close()
    await folder.remove()
  })

  const misbehave = async (...modes: string[]): Promise<void> => {
    const response = await fetch(`${simulator.url}/misbehave`, {
      method: 'POST',
      body: JSON.stringify({ modes }),
    })
    assert.equal(response.status, 200, await response.text())
  }

  const producer = async () => {
    const { actors } = actorsSchema.parse(await platform.get('/v1/actors'))
    return actors.find(({ id }) => id === 'producer')
  }

  const way = async (name: string): Promise<boolean> =>
    (await platform.metric('source_way', `way="${name}"`)) === 1

  const count = async (table: string): Promise<number> => {
    const [row] = await platform.sql<{ n: number }>(`select count(*) as n from ${table}`)
    return Number(row?.n)
  }

  const untilMissed = async (): Promise<void> => {
    const goal = (await simulator.stats()).emitted + MISSED
    await until('trades are missed', async () => (await simulator.stats()).emitted >= goal)
  }

  const untilRecovered = async (): Promise<void> => {
    await until('the producer has recovered', async () => {
      const { state, errorInfo } = (await producer()) ?? {}
      return state !== 'error' && errorInfo === null
    })
    const before = await count('trades')
    await until('trades are stored again', async () => (await count('trades')) > before + RATE / 4)
  }

  const testOutage = ([mode, codes]: Outage): void => {
    test(`${mode}: the producer is in error with a code while nothing delivers, and recovers by itself`, async () => {
      const gaps = await count(`status where state = 'gap'`)
      await misbehave(mode)
      let failing = await producer()
      await until('the producer is in error', async () => {
        failing = await producer()
        return failing?.state === 'error'
      })
      assert.ok(codes.includes(failing?.errorInfo?.code ?? ''), JSON.stringify(failing))
      assert.equal(failing?.errorInfo?.step, 'fetchingData')
      if (mode === 'drop') await until('a metric says that no way delivers', () => way('none'))
      // Between two looks it may try again.
      let listed = await producer()
      await until('the command shows it in error', async () => {
        const { code, stdout, stderr } = await runCommand(['actors', '--json', '--data', data])
        assert.equal(code, 0, stderr)
        listed = actorsSchema.parse(JSON.parse(stdout)).actors.find(({ id }) => id === 'producer')
        return listed?.state === 'error'
      })
      assert.ok(codes.includes(listed?.errorInfo?.code ?? ''), JSON.stringify(listed))
      await until(
        'applications are still served',
        async () => (await fetch(`${await platform.api()}/readyz`)).ok,
      )
      await untilMissed()

      await misbehave()
      await untilRecovered()
      await until(
        'what was missed is flagged',
        async () => (await count(`status where state = 'gap'`)) > gaps,
      )
    })
  }

  for (const outage of OUTAGES) testOutage(outage)

  const BY_REST = `status where state = 'connected' and detail like 'rest:%'`
  const BY_WEBSOCKET = `status where state = 'recovered' and detail like 'websocket again%'`

  for (const mode of ['ws-drop', 'ws-stall', 'ws-401', 'ws-429', 'ws-close']) {
    test(`${mode}: REST polling brings quotes until the WebSocket is back`, async () => {
      const [rest, websocket] = [await count(BY_REST), await count(BY_WEBSOCKET)]
      await misbehave(mode)
      await until('status says that REST delivers', async () => (await count(BY_REST)) > rest)
      await until('and a metric', () => way('rest'))
      const quotes = await count('quotes')
      await until('quotes are stored', async () => (await count('quotes')) > quotes + 20)
      await until('the producer goes on', async () => (await producer())?.state !== 'error')
      // What the WebSocket had brought may have been on its way into the database.
      const ofRest = `trades where recv_ts > (select max(ts) from ${BY_REST})`
      assert.equal(await count(ofRest), 0, 'REST has no trades')

      await misbehave()
      await until(
        'status says that the WebSocket delivers',
        async () => (await count(BY_WEBSOCKET)) > websocket,
      )
      await until('and a metric', () => way('websocket'))
      await untilRecovered()
    })
  }

  const DISTORTIONS = [
    [
      ['duplicate:0.5', 'source_duplicates_total', 50],
      ['out-of-order:0.5', 'source_out_of_order_total', 50],
      ['garbage:0.5', 'source_malformed_total', 50],
    ],
    [['drop:1', 'source_reconnects_total', 2]],
  ] as const

  for (const together of DISTORTIONS) {
    const modes = together.map(([mode]) => mode)
    test(`${modes.join(', ')}: counted, and it does not stop the data`, async () => {
      const before = await Promise.all(together.map(([, metric]) => platform.metric(metric)))
      await misbehave(...modes)
      const trades = await count('trades')
      for (const [i, [mode, metric, times]] of together.entries())
        await until(
          `${mode} is counted`,
          async () => (await platform.metric(metric)) >= (before[i] ?? 0) + times,
        )
      await until('trades are stored', async () => (await count('trades')) > trades + RATE)
      // Between two connections REST may have to wait for its limit: then nothing delivers for a moment.
      await until('the producer goes on', async () => (await producer())?.errorInfo === null)
      await misbehave()
    })
  }

  testOutage(RATE_LIMIT)

  test('no garbage is stored, no trade twice, and what is missing lies in gaps that status records', async () => {
    const emitted = await untilSettled(platform, ledger(), (await simulator.stats()).emitted)
    const stored = await storedTrades(platform)
    const keys = stored.map(tradeKey)
    assert.equal(new Set(keys).size, keys.length, 'a trade is stored twice')
    await until('the ledger has all that is stored, and nothing else is', async () => {
      const real = new Set((await readLedger(ledger())).map(tradeKey))
      return stored.every((trade) => real.has(tradeKey(trade)))
    })
    assert.deepEqual(await missedOutsideGaps(platform, emitted), [])
    for (const table of ['quotes', 'candles', 'status']) {
      const rows = await platform.sql(`select * from ${table} where exchange not in
        ('', 'binance', 'bitstamp', 'coinbase', 'kraken') limit 1`)
      assert.deepEqual(rows, [], `${table} has rows of no market`)
    }
    assert.equal(await platform.metric('dead_letters_total'), 0)
    assert.equal(await platform.stop(), 0, platform.output)
  })

  test('the trace shows the failures and their retries, and nothing that the graph does not have', async () => {
    const seen = await readTrace(trace())
    for (const step of ['fetchingData FETCH_FAILURE error', 'error RETRY fetchingData']) {
      assert.ok(seen.has(`producer: ${step}`), step)
    }
    await assertDrawn(seen)
  })
})
