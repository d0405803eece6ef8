import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Status, Trade } from '../../../src/domain/events.ts'
import { TapelineError } from '../../../src/errors.ts'
import type { Market, SourceBatch } from '../../../src/ports/source.ts'
import { NAMES } from '../../names.ts'
import { MemoryBroker } from '../../world/memory-broker.ts'
import type { MemoryPartition } from '../../world/memory-log.ts'
import { until } from '../until.ts'
import { NEVER, setUp } from './one-shard.ts'

const TRADES = 'market.trades'
/** More than the clocks of an exchange and of the broker may differ. */
const LATER = 61_000_000

type Producer = Awaited<ReturnType<typeof setUp>>

/** Producers one after the other, each the only one, over a log that loses records. */
function setUpLog(t: TestContext) {
  t.mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 10, 20, 12) })
  const broker = new MemoryBroker(Date.now)
  t.after(() => broker.close())
  const begin = Date.now() * 1_000
  const partition = () => broker.topics.get(TRADES)?.partition(0)
  const batch = (symbol: string, ids: readonly number[], after: number): SourceBatch => ({
    items: ids.map((id) => {
      const ts = begin + after + id
      const what = { id: `${id}`, side: 'buy', price: 1, size: 1, ts, recvTs: ts } as const
      return { channel: 'trade', event: { exchange: 'x', symbol, ...what } }
    }),
  })
  return {
    broker,
    start: (markets: readonly Market[] = []) => setUp(t, broker, markets),
    /** Publishes trades whose ids are those given, so many microseconds after the begin. */
    publish: ({ services }: Producer, symbol: string, ids: readonly number[], after = 0) =>
      services.publishFixed(batch(symbol, ids, after), NEVER),
    /** Its checkpoint is written: what comes next is after it. */
    async checkpoint({ services, clock }: Producer): Promise<void> {
      await services.publishFixed({ items: [] }, NEVER)
      clock.skippedMs += 2_000
      await services.publishFixed({ items: [] }, NEVER)
    },
    end: (): number => partition()?.end ?? 0,
    /** The next batch gets into the log, something happens to it there, and its answer is lost. */
    loseAnswerAnd(happen: (log: MemoryPartition) => void): void {
      const { publish } = broker
      broker.publish = async (entries, signal) => {
        broker.publish = publish
        await broker.publish(entries, signal)
        happen(partition() ?? assert.fail())
        throw new TapelineError('BROKER_UNAVAILABLE', 'the answer was lost')
      }
    },
    batch,
    remove: (before: number) => partition()?.removeBefore(before),
    /** Retention has passed all of these topics, and the checkpoints are lost. */
    forget(...topics: readonly string[]): void {
      broker.topics.get(NAMES.checkpoints)?.partition(0).cut(0)
      for (const topic of topics) {
        const log = broker.topics.get(topic)?.partition(0)
        log?.removeBefore(log.end)
      }
    },
    /** The source has a new connection, and then gives a trade; gives when the gaps begin that are flagged for it, in microseconds. */
    async gapsBefore({ services }: Producer, id: number): Promise<(number | undefined)[]> {
      const about = { source: 'x', exchange: '', state: 'connected', detail: '', ts: begin } as const
      const connected = { channel: 'connection', status: about, mayHaveMissed: true } as const
      await services.publishFixed({ items: [connected, ...batch('A-B', [id], LATER).items] }, NEVER)
      const { records = [] } = broker.topics.get(NAMES.fixed.status)?.partition(0) ?? {}
      const said = records.flatMap(({ value }): Status[] =>
        value === null ? [] : [JSON.parse(Buffer.from(value).toString())],
      )
      return said.filter(({ state }) => state === 'gap').map(({ from }) => from)
    },
    /** What was ever published, but for an end that was lost: a `?` stands after what may be a repeat. */
    published: (): string[] =>
      (partition()?.archive ?? []).flatMap(({ value, headers }) => {
        if (value === null || headers.kind === 'marker') return []
        const { symbol, id, maybe } = JSON.parse(Buffer.from(value).toString()) as Trade
        return `${symbol} ${id}${maybe ? '?' : ''}`
      }),
  }
}

test('trades that retention removed after the checkpoint may be repeats when they come again, and no later ones', async (t) => {
  const log = setUpLog(t)
  const first = await log.start()
  await log.publish(first, 'A-B', [1, 2, 3])
  await log.checkpoint(first)
  await log.publish(first, 'A-B', [4, 5])
  await log.publish(first, 'C-D', [6])
  await first.crash()
  log.remove(log.end())

  const second = await log.start()
  await log.publish(second, 'A-B', [2, 3, 4, 5])
  await log.publish(second, 'C-D', [6])
  await log.publish(second, 'A-B', [7], LATER)
  const before = ['A-B 1', 'A-B 2', 'A-B 3', 'A-B 4', 'A-B 5', 'C-D 6']
  const again = ['A-B 4?', 'A-B 5?', 'C-D 6?', 'A-B 7']
  assert.deepEqual(log.published(), [...before, ...again])
  await second.end()

  const third = await log.start()
  await log.publish(third, 'A-B', [4, 7])
  await log.publish(third, 'A-B', [7], LATER)
  await log.publish(third, 'A-B', [8])
  await log.publish(third, 'E-F', [9])
  await log.publish(third, 'E-F', [10], LATER)
  assert.deepEqual(log.published().slice(before.length + again.length), [
    'A-B 7?',
    'A-B 8?',
    'E-F 9?',
    'E-F 10',
  ])
})

test('a record after what is gone says up to when trades may be missing', async (t) => {
  const log = setUpLog(t)
  const first = await log.start()
  await log.checkpoint(first)
  await log.publish(first, 'A-B', [1, 2])
  const next = log.end()
  await log.publish(first, 'A-B', [3])
  await first.crash()
  log.remove(next)
  t.mock.timers.tick(3_600_000)

  const second = await log.start()
  await log.publish(second, 'A-B', [1, 2, 3])
  await log.publish(second, 'A-B', [4], LATER)
  assert.deepEqual(log.published(), ['A-B 1', 'A-B 2', 'A-B 3', 'A-B 1?', 'A-B 2?', 'A-B 4'])
})

test('where retention has left no trade and the checkpoints are lost, a gap begins when the shard had its first owner', async (t) => {
  const log = setUpLog(t)
  const began = Date.now() * 1_000
  const first = await log.start()
  await log.publish(first, 'A-B', [1, 2])
  await first.crash()
  t.mock.timers.tick(10_000)
  log.forget(TRADES, NAMES.fixed.quote, NAMES.fixed.candle, NAMES.fixed.book)
  const second = await log.start()
  assert.deepEqual(await log.gapsBefore(second, 5), [began], 'one channel still has its marker')
})

test('where nothing is left of those who owned a shard, its gap begins with all time', async (t) => {
  const log = setUpLog(t)
  const first = await log.start()
  await log.publish(first, 'A-B', [1, 2])
  await first.crash()
  t.mock.timers.tick(10_000)
  log.forget(...Object.values(NAMES.fixed))
  const second = await log.start()
  assert.deepEqual(await log.gapsBefore(second, 5), [0])
})

test('a take-over of a log that holds all after the checkpoint doubts nothing', async (t) => {
  const log = setUpLog(t)
  const first = await log.start()
  await log.checkpoint(first)
  await log.publish(first, 'A-B', [1, 2])
  await first.crash()
  const second = await log.start()
  await log.publish(second, 'A-B', [1, 2, 3])
  assert.deepEqual(log.published(), ['A-B 1', 'A-B 2', 'A-B 3'])
})

test('trades of a fixed topic that others made anew may be repeats when they come again', async (t) => {
  const log = setUpLog(t)
  const first = await log.start()
  await log.publish(first, 'A-B', [1])
  await log.checkpoint(first)
  await log.publish(first, 'A-B', [2])
  await first.crash()
  const [topic] = await log.broker.describeTopics([TRADES], NEVER)
  assert.ok(topic)
  await log.broker.deleteTopics([topic], NEVER)
  await log.broker.createTopics([{ name: TRADES, partitions: 1, retentionMs: 1e9 }], NEVER)

  const second = await log.start()
  await log.publish(second, 'A-B', [1, 2])
  await log.publish(second, 'A-B', [3], LATER)
  assert.deepEqual(log.published(), ['A-B 2?', 'A-B 3'])
})

test('trades at the end that a fixed topic lost may be repeats when they come again', async (t) => {
  const log = setUpLog(t)
  const first = await log.start()
  await log.publish(first, 'A-B', [1])
  await log.checkpoint(first)
  await log.publish(first, 'A-B', [2, 3])
  log.broker.topics
    .get(TRADES)
    ?.partition(0)
    ?.cut(log.end() - 1)
  await log.publish(first, 'A-B', [4])
  await log.publish(first, 'A-B', [2, 3, 4])
  await log.publish(first, 'A-B', [5], LATER)
  assert.deepEqual(log.published(), ['A-B 1', 'A-B 2', 'A-B 4', 'A-B 3?', 'A-B 5'])
})

for (const [what, happen] of [
  ['in a batch which nobody can read', (log: MemoryPartition) => log.rot(0)],
  ['among what retention removed', (log: MemoryPartition) => log.removeBefore(log.end)],
] as const)
  test(`trades in hand that may lie ${what} may be repeats`, async (t) => {
    const log = setUpLog(t)
    const first = await log.start([{ exchange: 'x', symbol: 'A-B' }])
    await log.publish(first, 'A-B', [1])
    const inHand = log.batch('A-B', [2, 3], 0)
    log.loseAnswerAnd(happen)
    await assert.rejects(first.services.publishFixed(inHand, NEVER), { code: 'BROKER_UNAVAILABLE' })
    await first.services.publishFixed(inHand, NEVER)
    await log.publish(first, 'A-B', [4], LATER)
    assert.deepEqual(log.published(), ['A-B 1', 'A-B 2', 'A-B 3', 'A-B 2?', 'A-B 3?', 'A-B 4'])
  })

test('trades of a checkpoint that nobody can read may be repeats when they come again, and no later ones', async (t) => {
  const log = setUpLog(t)
  const checkpoints = () => log.broker.topics.get(NAMES.checkpoints)?.partition(0)
  const first = await log.start()
  await log.publish(first, 'A-B', [1, 2, 3])
  await log.checkpoint(first)
  checkpoints()?.rot(0)
  await log.publish(first, 'C-D', [4])
  first.clock.skippedMs += 10_000
  await log.checkpoint(first)
  await first.crash()
  const second = await log.start()
  await log.publish(second, 'A-B', [3])
  await log.publish(second, 'C-D', [4])
  await log.publish(second, 'A-B', [5], LATER)
  assert.deepEqual(log.published(), ['A-B 1', 'A-B 2', 'A-B 3', 'C-D 4', 'A-B 3?', 'A-B 5'])
})

test('checkpoints that lost their end are written anew with the trades of all markets', async (t) => {
  const log = setUpLog(t)
  const checkpoints = () => log.broker.topics.get(NAMES.checkpoints)?.partition(0)
  const first = await log.start()
  await log.publish(first, 'A-B', [1, 2, 3])
  await log.checkpoint(first)
  checkpoints()?.cut(0)
  await log.publish(first, 'C-D', [4])
  first.clock.skippedMs += 10_000
  await log.checkpoint(first)
  // At once, by the same owner, before any further checkpoint is due.
  await until('the trades of A-B are written', () =>
    (checkpoints()?.records ?? []).some(({ key }) => key?.includes('A-B') === true),
  )
  await first.crash()
  const second = await log.start()
  await log.publish(second, 'A-B', [3])
  await log.publish(second, 'A-B', [5], LATER)
  assert.deepEqual(log.published(), ['A-B 1', 'A-B 2', 'A-B 3', 'C-D 4', 'A-B 5'])
})

for (const [what, isNew] of [
  ['who dies before it has written them anew', false],
  ['who has just taken the shard over, and dies then', true],
] as const)
  test(`trades of checkpoints that lost their end under an owner ${what} may be repeats`, async (t) => {
    const log = setUpLog(t)
    const first = await log.start()
    await log.publish(first, 'A-B', [1, 2, 3])
    await log.checkpoint(first)
    if (isNew) await first.crash()
    const owner = isNew ? await log.start() : first
    let written = 0
    owner.mine.beforeCommit = async ([entry]) => {
      if (entry?.topic !== NAMES.checkpoints) return
      if (++written > 1) throw new TapelineError('BROKER_UNAVAILABLE', 'it dies')
      log.broker.topics.get(NAMES.checkpoints)?.partition(0).cut(0)
    }
    await log.publish(owner, 'C-D', [4])
    owner.clock.skippedMs += 10_000
    await log.checkpoint(owner)
    await until('what the checkpoint lacks would follow', () => written > 1)
    await owner.crash()
    const next = await log.start()
    await log.publish(next, 'A-B', [3])
    await log.publish(next, 'C-D', [4])
    await log.publish(next, 'A-B', [5], LATER)
    assert.deepEqual(log.published(), ['A-B 1', 'A-B 2', 'A-B 3', 'C-D 4', 'A-B 3?', 'A-B 5'])
  })
