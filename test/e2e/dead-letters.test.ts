import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { openEmbeddedBroker } from '../../src/adapters/broker/embedded.ts'
import { ensureTopics } from '../../src/control/topics.ts'
import { TapelineError } from '../../src/errors.ts'
import { writeDeadLetters } from '../../src/services/consumer-fixed/dead-letters.ts'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { NAMES } from '../names.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { makeFolder, PlatformProcess, runCommand, until } from './platform-process.ts'

const DAY_MS = 86_400_000
const NEVER = new AbortController().signal
const ts = 1_700_000_000_000_001
const market = { exchange: 'elsewhere', symbol: 'BTC-USD' }

/** Records that the database refused once, by a constraint that is gone; and one that nobody can read. */
const LETTERS = [
  ['market.trades', { ...market, id: '1', side: 'buy', price: 1.5, size: 2, ts, recvTs: ts }],
  ['market.trades', { ...market, id: '2', side: 'sell', price: 1.5, size: 2, ts, recvTs: ts }],
  ['market.quotes', { ...market, bid: 1, ask: 2, ts, recvTs: ts }],
  [
    'market.candles',
    {
      ...{ ...market, interval: '1m', open: 1, high: 2, low: 1, close: 2, volume: 3, trades: 4 },
      ...{ ts: 1_700_000_000_000_000, closed: true, origin: 'source' },
    },
  ],
  ['market.status', { source: 'elsewhere', exchange: '', state: 'connected', detail: 'fine', ts }],
  ['market.trades', 'no event'],
] as const

const IDS = LETTERS.map(([topic], offset) => `${topic}:0:${offset}`)
const GOOD = IDS.slice(0, -1)
const BAD = IDS.at(-1) ?? ''

describe('dead letters of a running platform', () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>
  let data: string
  let simulator: Simulator
  let platform: PlatformProcess
  let topic: string

  before(async () => {
    folder = await makeFolder()
    data = join(folder.path, 'data')
    await copyStoreTemplate(join(data, 'store'))
    await bury()
    simulator = await startSimulatorThread({ seed: 1, rate: 100 })
    platform = new PlatformProcess(data, ['--simulator', simulator.url])
    await platform.start()
    const spec = { channel: 'trade', symbols: ['*'], exchanges: ['elsewhere'], ttl: 0 }
    topic = (await platform.post<{ topic: string }>('/v1/streams', spec)).topic
  })
  after(async () => {
    await platform.kill()
    await simulator.close()
    await folder.remove()
  })

  /** Writes the letters as the fixed consumer does, before the platform starts. */
  async function bury(): Promise<void> {
    const broker = await openEmbeddedBroker({ folder: join(data, 'broker') })
    try {
      const retentions = { retentionMs: 7 * DAY_MS, deadLetterRetentionMs: 30 * DAY_MS }
      await ensureTopics(broker, { names: NAMES, partitions: 4, ...retentions }, NEVER)
      const rejected = LETTERS.map(([name, event], offset) => ({
        ...{ topic: name, partition: 0 },
        record: {
          ...{ offset, timestamp: Date.now(), key: null, headers: { v: 1, kind: 'event' as const } },
          value: new TextEncoder().encode(JSON.stringify(event)),
        },
        error: new TapelineError('EVENT_INVALID', 'violates check constraint "sane"'),
      }))
      await writeDeadLetters(broker, NAMES.deadLetters, rejected, NEVER)
    } finally {
      await broker.close()
    }
  }

  const run = (...words: string[]) => runCommand(['dead-letters', ...words, '--data', data])
  const lines = (text: string): Record<string, unknown>[] =>
    text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>)

  /** How many rows each table has of the letters. */
  async function rows(): Promise<Record<string, number>> {
    const [row] = await platform.sql<Record<string, number>>(
      `select (select count(*) from trades where exchange = 'elsewhere') as trades,
              (select count(*) from quotes where exchange = 'elsewhere') as quotes,
              (select count(*) from candles where exchange = 'elsewhere') as candles,
              (select count(*) from status where source = 'elsewhere') as status`,
    )
    return row ?? {}
  }
  const ALL_ONCE = { trades: 2, quotes: 1, candles: 1, status: 1 }

  /** Waits until each letter has its row, and a while more is stored: a second row would have come with it. */
  async function untilStored(): Promise<void> {
    await until('the letters are stored', async () => {
      const found = await rows()
      return Object.entries(ALL_ONCE).every(([table, count]) => Number(found[table]) >= count)
    })
    const [{ n: before } = { n: 0 }] = await platform.sql<{ n: number }>('select count(*) as n from trades')
    await until('later trades are stored', async () => {
      const [row] = await platform.sql<{ n: number }>('select count(*) as n from trades')
      return Number(row?.n) > Number(before) + 50
    })
  }

  test('are listed, filtered and shown', async () => {
    const { code, stdout, stderr } = await run('--json')
    assert.equal(code, 0, stderr)
    const [answer] = lines(stdout)
    const letters = answer?.['deadLetters'] as { id: string; replayedAt: string | null }[]
    assert.deepEqual(
      letters.map(({ id }) => id),
      IDS.toReversed(),
    )
    const table = await run('list', '--topic', 'market.quotes', '--since', '1h', '--state', 'open')
    assert.match(table.stdout, /^market\.quotes:0:2 +EVENT_INVALID .* open +violates check constraint/m)
    assert.equal(table.stdout.match(/^market\./gm)?.length, 1)
    const shown = await run('show', GOOD[0] ?? '')
    assert.equal(shown.code, 0, shown.stderr)
    assert.match(shown.stdout, /EVENT_INVALID: violates check constraint "sane"/)
    assert.ok(shown.stdout.endsWith(`${JSON.stringify(LETTERS[0][1])}\n`), shown.stdout)
    const unknown = await run('show', 'market.trades:0:99')
    assert.deepEqual([unknown.code, unknown.stdout], [1, ''])
    assert.match(unknown.stderr, /^DEAD_LETTER_UNKNOWN/)
  })

  test('replayed twice make one row each, and no event of a stream', async () => {
    for (let times = 0; times < 2; times++) {
      const { code, stdout, stderr } = await run('replay', ...GOOD, '--json')
      assert.equal(code, 0, stderr)
      assert.deepEqual(
        lines(stdout),
        GOOD.map((id) => ({ id, outcome: 'replayed' })),
      )
    }
    await untilStored()
    assert.deepEqual(await rows(), ALL_ONCE)
    const tail = await runCommand(['tail', topic, '--from', 'earliest', '--json', '--exit', '--data', data])
    assert.deepEqual([tail.code, tail.stdout], [0, ''], tail.stderr)
    assert.equal(await platform.metric('dead_letters_replayed_total', 'replayed'), 2 * GOOD.length)
  })

  test('with --all only what was never replayed is tried; what is still refused is said, and fails', async () => {
    const { code, stdout, stderr } = await run('replay', '--all')
    assert.equal(code, 1)
    assert.match(stdout, new RegExp(`^${BAD} +still-refused +EVENT_INVALID`))
    assert.match(stderr, /^1 still-refused$/m)
    const unknown = await run('replay', 'market.trades:3:77')
    assert.deepEqual([unknown.code, unknown.stdout], [1, 'market.trades:3:77  unknown\n'])
  })

  test('a kill -9 in the middle of a replay, and another replay, make no second row', async () => {
    const asked = platform.post('/v1/dead-letters/replay', { ids: GOOD }).catch(() => undefined)
    await platform.kill()
    await asked
    await platform.start()
    assert.equal((await run('replay', ...GOOD)).code, 0)
    await untilStored()
    assert.deepEqual(await rows(), ALL_ONCE)
  })
})
