import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { TapelineError } from '../../../src/errors.ts'
import type { GroupOptions, ReadPosition, TopicPartition } from '../../../src/ports/broker.ts'
import type { Claim, ClaimTarget, Store } from '../../../src/ports/store.ts'
import { joinFixedTopics } from '../../../src/services/consumer-fixed/claims.ts'
import type { ConsumerFixedParts } from '../../../src/services/consumer-fixed/parts.ts'
import { NAMES } from '../../names.ts'
import { quietLog, quietMeter } from '../../quiet.ts'
import { MemoryBroker } from '../../world/memory-broker.ts'
import { always, NEVER, tradeRecord } from './consumers.ts'

const TOPIC = NAMES.fixed.trade
const POLL = { maxRecords: 100, waitMs: 0 }

/** A topic of two partitions with three records each, a database, and a group that the test plays. */
async function setUp(t: TestContext) {
  const broker = new MemoryBroker(() => clock.ms)
  const clock = { ms: 1_000_000 }
  await broker.createTopics([{ name: TOPIC, partitions: 2, retentionMs: 1e9 }], NEVER)
  for (const partition of [0, 1]) {
    const records = ['a', 'b', 'c'].map((id) => tradeRecord(partition, id))
    await broker.publish([{ topic: TOPIC, partition, records }], NEVER)
  }
  let group: GroupOptions | undefined
  const committed: ReadPosition[][] = []
  const alerts: string[] = []
  /** What the database has: per partition the next offset. */
  const stored = new Map<number, number>()
  let fence = 0
  const store = {
    async claim(targets: readonly ClaimTarget[]): Promise<Claim[]> {
      fence++
      return targets.map((target) => ({
        ...target,
        ...{ fence, nextOffset: stored.get(target.partition) ?? 0, memory: { epochs: {}, positions: {} } },
      }))
    },
  }
  const { book: _notStored, ...topics } = NAMES.fixed
  const claims = await joinFixedTopics(
    {
      broker: Object.assign(broker, {
        async joinGroup(options: GroupOptions) {
          group = options
          return {
            async commit(positions: readonly ReadPosition[]) {
              committed.push([...positions])
            },
            async leave() {},
          }
        },
      }),
      ...{ names: NAMES, topics, maxRecords: 100, lingerMs: 0, nowMicros: () => clock.ms * 1_000 },
      ...{ duringBroker: always, log: quietLog, meter: quietMeter },
      raiseAlert: (id, code) => alerts.push(`${id} ${code}`),
      store: store satisfies Partial<Store> as Partial<Store> as Store,
    } satisfies ConsumerFixedParts,
    NEVER,
  )
  t.after(() => claims.close(AbortSignal.timeout(5_000)))
  return {
    ...{ broker, claims, clock, stored, store, committed, alerts },
    give: (...partitions: number[]) =>
      group?.onAssignment(partitions.map((partition): TopicPartition => ({ topic: TOPIC, partition }))),
    /** Where each read began and ended. */
    async poll() {
      const found = await claims.poll(POLL, NEVER)
      return found.map((fetch) =>
        fetch.kind === 'records' ? `${fetch.partition}: ${fetch.from}-${fetch.nextOffset}` : fetch.kind,
      )
    },
  }
}

test('what the group gives is claimed in the database, and read from where that stands', async (t) => {
  const { claims, give, poll, stored } = await setUp(t)
  assert.deepEqual([await poll(), claims.size], [[], 0], 'nothing is given yet')
  stored.set(1, 2)
  await give(0, 1)
  assert.deepEqual((await poll()).toSorted(), ['0: 0-3', '1: 2-3'])
  assert.equal(claims.size, 2)
  assert.equal(claims.get(TOPIC, 1)?.nextOffset, 2)
  assert.equal(await claims.countUnstored(NEVER), 4)
})

test('what the group takes is read no longer, and what is doubted is claimed and read anew', async (t) => {
  const { claims, give, poll, stored } = await setUp(t)
  await give(0, 1)
  await poll()
  await give(1)
  assert.equal(claims.get(TOPIC, 0), undefined)
  stored.set(1, 1)
  claims.doubt([{ topic: TOPIC, partition: 1 }])
  assert.equal(claims.get(TOPIC, 1), undefined, 'nothing may be written under it')
  assert.deepEqual(await poll(), ['1: 1-3'])
  assert.equal(claims.get(TOPIC, 1)?.fence, 2)
})

test('a write moves its claim on, unless it was claimed anew meanwhile', async (t) => {
  const { claims, give, poll } = await setUp(t)
  await give(0)
  await poll()
  const former = claims.get(TOPIC, 0)
  assert.ok(former)
  claims.advance([{ ...former, nextOffset: 2 }])
  assert.equal(claims.get(TOPIC, 0)?.nextOffset, 2)
  claims.doubt([former])
  await poll()
  claims.advance([{ ...former, nextOffset: 3 }])
  assert.equal(claims.get(TOPIC, 0)?.nextOffset, 0)
})

test('the group hears of the offsets once a second at most, and at the end', async (t) => {
  const { claims, give, poll, committed, clock } = await setUp(t)
  await give(0)
  await poll()
  const claim = claims.get(TOPIC, 0)
  assert.ok(claim)
  claims.advance([{ ...claim, nextOffset: 1 }])
  claims.advance([{ ...claim, nextOffset: 2 }])
  clock.ms += 1_000
  await poll()
  await poll()
  assert.deepEqual(
    committed.map(([position]) => position?.offset),
    [1, 2],
  )
  claims.advance([{ ...claim, nextOffset: 3 }])
  await claims.close(NEVER)
  assert.deepEqual(committed.at(-1), [{ topic: TOPIC, partition: 0, offset: 3 }])
})

test('a partition that another process stores is left to it for a while', async (t) => {
  const { claims, give, poll, clock } = await setUp(t)
  await give(0)
  await poll()
  claims.yieldTo([{ topic: TOPIC, partition: 0 }])
  assert.deepEqual([await poll(), claims.size], [[], 0])
  clock.ms += 10_000
  assert.deepEqual([await poll(), claims.size], [['0: 0-3'], 1])
})

test('a claim that the database does not answer is raised, and tried again', async (t) => {
  const { claims, give, poll, store } = await setUp(t)
  const { claim } = store
  store.claim = async () => {
    throw new TapelineError('STORE_UNAVAILABLE', 'away')
  }
  await give(0)
  await assert.rejects(claims.ensure(NEVER), { code: 'STORE_UNAVAILABLE' })
  store.claim = claim
  await claims.ensure(NEVER)
  assert.equal(claims.size, 1)
  assert.deepEqual(await poll(), ['0: 0-3'])
})

test('a topic that is gone is told, and claimed again under its identity once it is there', async (t) => {
  const { broker, claims, give, poll, alerts } = await setUp(t)
  await give(0)
  await poll()
  const [topic] = await broker.describeTopics([TOPIC], NEVER)
  assert.ok(topic)
  await broker.deleteTopics([topic], NEVER)
  await poll()
  assert.deepEqual(alerts, [`gone:${TOPIC} TOPIC_UNKNOWN`])
  assert.deepEqual([await poll(), claims.size], [[], 0])
})
