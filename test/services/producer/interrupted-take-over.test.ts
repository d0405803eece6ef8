import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Quote, Status, Trade } from '../../../src/domain/events.ts'
import { TapelineError } from '../../../src/errors.ts'
import type { PartitionRecords } from '../../../src/ports/broker.ts'
import type { SourceBatch } from '../../../src/ports/source.ts'
import { NAMES } from '../../names.ts'
import { NEVER, setUp } from './successors.ts'

const TOPICS = NAMES.fixed
const AT = { exchange: 'x', symbol: 'A-USD', ts: 1_700_000_000_000_000, recvTs: 1_700_000_000_000_000 }

const trade = (id: string): Trade => ({ ...AT, id, side: 'buy', price: 1, size: 1 })
const quote: Quote = { ...AT, bid: 1, ask: 2 }
const stale: Status = { source: 'x', exchange: 'x', symbol: 'A-USD', state: 'stale', detail: '', ts: AT.ts }

const isMarker = ({ records }: PartitionRecords): boolean => records[0]?.headers.kind === 'marker'
const lost = (): TapelineError => new TapelineError('BROKER_UNAVAILABLE', 'the answer was lost')

const inHand: SourceBatch = {
  items: [
    { channel: 'status', event: stale },
    { channel: 'quote', event: quote },
    { channel: 'trade', event: trade('t2') },
  ],
}

test('take-overs of its own that were interrupted cost a process nothing of what it has in hand', async (t) => {
  const { broker, start, counted } = await setUp(t)
  const { services, mine } = await start('a')
  await services.publishFixed({ items: [{ channel: 'trade', event: trade('t1') }] }, NEVER)

  let [refused, interrupted] = [0, 0]
  mine.beforePublish = async (entries, signal) => {
    if (!entries.some(({ topic }) => topic.startsWith('market.'))) return
    if (refused++ === 0) throw lost()
    if (!entries.every(isMarker) || interrupted++ >= 2) return
    // The markers are written, and the process does not hear of it.
    await broker.publish(entries, signal)
    throw lost()
  }
  for (let attempt = 0; attempt < 3; attempt++)
    await assert.rejects(services.publishFixed(inHand, NEVER), { code: 'BROKER_UNAVAILABLE' })
  await services.publishFixed(inHand, NEVER)

  assert.equal(interrupted, 3, 'two take-overs were interrupted')
  assert.deepEqual(await counted(TOPICS.quote), [quote])
  assert.deepEqual(await counted(TOPICS.status), [stale], 'and no gap is flagged')
  assert.deepEqual(
    (await counted(TOPICS.trade)).map((each) => (each as Trade).id),
    ['t1', 't2'],
  )
})

test('an owner that came between two take-overs of a process is no own one: what is in hand may be old by now', async (t) => {
  const { broker, start, counted } = await setUp(t)
  const { services, mine } = await start('a')
  await services.publishFixed({ items: [{ channel: 'trade', event: trade('t1') }] }, NEVER)

  let interrupted = 0
  mine.beforePublish = async (entries, signal) => {
    if (!entries.some(({ topic }) => topic.startsWith('market.'))) return
    if (!entries.every(isMarker)) throw lost()
    if (interrupted++ > 0) return
    await broker.publish(entries, signal)
    throw lost()
  }
  for (let attempt = 0; attempt < 2; attempt++)
    await assert.rejects(services.publishFixed(inHand, NEVER), { code: 'BROKER_UNAVAILABLE' })
  // Stopped, so that another one owns the shard for a while.
  await mine.freeze()
  const other = await start('b')
  await other.services.publishFixed({ items: [{ channel: 'trade', event: trade('t2') }] }, NEVER)
  await other.services.close(NEVER)
  mine.beforePublish = async () => {}
  await mine.thaw()
  await services.publishFixed(inHand, NEVER)
  await services.publishFixed(
    { items: [{ channel: 'trade', event: { ...trade('t3'), ts: AT.ts + 1 } }] },
    NEVER,
  )

  assert.deepEqual(await counted(TOPICS.quote), [])
  assert.deepEqual(
    (await counted(TOPICS.trade)).map((each) => (each as Trade).id),
    ['t1', 't2', 't3'],
  )
  const states = (await counted(TOPICS.status)).map((each) => (each as Status).state)
  assert.ok(states.includes('gap'), states.join())
})

for (const [what, item, cause] of [
  [
    'between two connections',
    {
      channel: 'connection',
      mayHaveMissed: true,
      status: { source: 'x', exchange: '', state: 'connected', detail: '', ts: AT.ts },
    },
    'reconnect',
  ],
  [
    'before a trade that the source names',
    { channel: 'last-trade', exchange: 'x', symbol: 'A-USD', id: '14', ts: AT.ts + 4 },
    'source',
  ],
] as const)
  test(`a gap ${what} in what a process has in hand is flagged also where another owned the shard meanwhile`, async (t) => {
    const { start, counted } = await setUp(t)
    const at = (id: string, ts: number) =>
      ({ channel: 'trade', event: { ...trade(id), ts: AT.ts + ts } }) as const
    const { services, mine } = await start('a', [{ exchange: 'x', symbol: 'A-USD' }])
    await services.publishFixed({ items: [at('10', 0)] }, NEVER)
    const held: SourceBatch = { items: [at('12', 2), item, at('15', 5)] }
    mine.beforePublish = async (entries) => {
      if (entries.some(({ topic }) => topic.startsWith('market.'))) throw lost()
    }
    await assert.rejects(services.publishFixed(held, NEVER), { code: 'BROKER_UNAVAILABLE' })
    await mine.freeze()
    const other = await start('b')
    await other.services.publishFixed({ items: [at('11', 1)] }, NEVER)
    await other.services.close(NEVER)
    mine.beforePublish = async () => {}
    await mine.thaw()
    await services.publishFixed(held, NEVER)

    assert.deepEqual(
      (await counted(TOPICS.trade)).map((each) => (each as Trade).id),
      ['10', '11', '12', '15'],
    )
    const flagged = (await counted(TOPICS.status)).flatMap((each) => {
      const { state, from = 0, to = 0, cause: why } = each as Status
      return state === 'gap' ? [[from - AT.ts, to - AT.ts, why]] : []
    })
    assert.ok(
      flagged.some(([from, , why]) => from === 2 && why === cause),
      JSON.stringify(flagged),
    )
  })

test('a take-over of its own that comes late fences a process, and costs nothing of what it has in hand', async (t) => {
  const { broker, start, counted, passTime } = await setUp(t)
  const { services, mine } = await start('a')
  await services.publishFixed({ items: [{ channel: 'trade', event: trade('t1') }] }, NEVER)

  mine.beforePublish = async () => {
    mine.beforePublish = async () => {}
    throw lost()
  }
  await assert.rejects(services.publishFixed(inHand, NEVER), { code: 'BROKER_UNAVAILABLE' })
  const { takeOver } = mine
  mine.takeOver = async (id, signal) => {
    mine.takeOver = takeOver
    const writer = await broker.takeOver(id, signal)
    // One that was given up reaches the broker now.
    await broker.takeOver(id, signal)
    return writer
  }
  await assert.rejects(services.publishFixed(inHand, NEVER), { code: 'BROKER_UNAVAILABLE' })
  passTime(11_000)
  await services.publishFixed(inHand, NEVER)

  assert.deepEqual(await counted(TOPICS.quote), [quote])
  assert.deepEqual(await counted(TOPICS.status), [stale], 'and no gap is flagged')
  assert.deepEqual(
    (await counted(TOPICS.trade)).map((each) => (each as Trade).id),
    ['t1', 't2'],
  )
})

test('a marker of a former owner that comes late costs its successor nothing', async (t) => {
  const { broker, start, counted } = await setUp(t)
  const first = await start('a')
  await first.services.publishFixed({ items: [{ channel: 'trade', event: trade('t1') }] }, NEVER)
  // It claims anew, stands still in front of its markers, and loses the shard meanwhile.
  let late: readonly PartitionRecords[] | undefined
  first.mine.beforePublish = async (entries) => {
    if (!entries.some(({ topic }) => topic.startsWith('market.'))) return
    if (entries.every(isMarker)) late = entries
    throw lost()
  }
  for (let attempt = 0; attempt < 2; attempt++)
    await assert.rejects(first.services.publishFixed(inHand, NEVER), { code: 'BROKER_UNAVAILABLE' })
  await first.mine.freeze()
  const second = await start('b')
  await second.services.publishFixed({ items: [] }, NEVER)
  await broker.publish(late ?? [], NEVER)
  await second.services.publishFixed(inHand, NEVER)

  assert.deepEqual(await counted(TOPICS.quote), [quote])
  assert.deepEqual(second.services.shards(), [0], 'it owns the shard on')
  assert.deepEqual(
    (await counted(TOPICS.trade)).map((each) => (each as Trade).id),
    ['t1', 't2'],
  )
})
