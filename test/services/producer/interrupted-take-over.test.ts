import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openEmbeddedBroker } from '../../../src/adapters/broker/embedded.ts'
import { openControlBus } from '../../../src/control/bus.ts'
import { openRegistry } from '../../../src/control/registry.ts'
import { ensureTopics } from '../../../src/control/topics.ts'
import type { Quote, Status, Trade } from '../../../src/domain/events.ts'
import { counts, emptyMemory } from '../../../src/domain/reader-rules.ts'
import { TapelineError } from '../../../src/errors.ts'
import type { PartitionRecords } from '../../../src/ports/broker.ts'
import type { SourceBatch } from '../../../src/ports/source.ts'
import { createProducerServices } from '../../../src/services/producer/producer.ts'
import { NAMES } from '../../names.ts'
import { quietAlerts, quietLog, quietMeter } from '../../quiet.ts'
import { ProcessBroker } from '../process-broker.ts'
import { idleSource } from './idle-source.ts'

const NEVER = new AbortController().signal
const TOPICS = NAMES.fixed
const AT = { exchange: 'x', symbol: 'A-USD', ts: 1_700_000_000_000_000, recvTs: 1_700_000_000_000_000 }

const trade = (id: string): Trade => ({ ...AT, id, side: 'buy', price: 1, size: 1 })
const quote: Quote = { ...AT, bid: 1, ask: 2 }
const stale: Status = { source: 'x', exchange: 'x', symbol: 'A-USD', state: 'stale', detail: '', ts: AT.ts }

const isMarker = ({ records }: PartitionRecords): boolean => records[0]?.headers.kind === 'marker'
const lost = (): TapelineError => new TapelineError('BROKER_UNAVAILABLE', 'the answer was lost')

/** Producers of the only shard, each with a broker of its own over one log. */
async function setUp(t: TestContext) {
  const broker = await openEmbeddedBroker({ folder: ':memory:' })
  const settings = { names: NAMES, partitions: 1, retentionMs: 1e9, deadLetterRetentionMs: 1e9 }
  await ensureTopics(broker, settings, NEVER)
  const closings: (() => Promise<void>)[] = []
  let passedMs = 0
  t.after(async () => {
    for (const close of closings) await close()
    await broker.close()
  })
  const start = async (instance: string) => {
    const mine = new ProcessBroker(broker)
    const registry = await openRegistry(mine, NAMES, quietLog, NEVER)
    const bus = await openControlBus(mine, NAMES, registry, quietLog, NEVER)
    const services = await createProducerServices(
      {
        alerts: quietAlerts,
        ...{ source: idleSource, markets: [], broker: mine, registry, bus, instance, topics: TOPICS },
        ...{
          names: NAMES,
          partitions: 1,
          standing: new Map(),
          lingerMs: 0,
          now: () => Date.now() + passedMs,
          newId: () => instance,
        },
        ...{ log: quietLog, meter: quietMeter },
      },
      NEVER,
    )
    closings.push(async () => {
      await mine.thaw()
      mine.beforePublish = async () => {}
      await services.close(NEVER)
      await registry.close()
      await bus.close()
    })
    return { services, mine }
  }
  /** What counts in a fixed topic. */
  const counted = async (topic: string): Promise<unknown[]> => {
    const reader = await broker.openReader(AbortSignal.timeout(30_000))
    await reader.assign([{ topic, partition: 0, offset: 0 }], AbortSignal.timeout(30_000))
    const memory = emptyMemory()
    const bodies: unknown[] = []
    for (const fetch of await reader.poll({ maxRecords: 1_000, waitMs: 0 }, NEVER)) {
      if (fetch.kind !== 'records') continue
      for (const { headers, value } of fetch.records)
        if (counts(memory, headers) && value) bodies.push(JSON.parse(Buffer.from(value).toString()))
    }
    await reader.close(AbortSignal.timeout(30_000))
    return bodies
  }
  const passTime = (ms: number): void => {
    passedMs += ms
  }
  return { broker, start, counted, passTime }
}

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
