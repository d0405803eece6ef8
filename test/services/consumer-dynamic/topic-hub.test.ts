import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TapelineError } from '../../../src/errors.ts'
import type { Broker } from '../../../src/ports/broker.ts'
import { openTopicHub, type TopicListener } from '../../../src/services/consumer-dynamic/topic-hub.ts'
import { quietLog } from '../../quiet.ts'
import { MemoryBroker } from '../../world/memory-broker.ts'
import { until } from '../until.ts'

const TOPIC = 'app.one'
const NEVER = new AbortController().signal

/** Counts what it gets. */
class Listener implements TopicListener {
  begun = 0
  batches = 0
  begin(): void {
    this.begun++
  }
  take(): void {
    this.batches++
  }
}

test('a topic that is left and wanted again while it is opened is read, whatever its openings come to', async (t) => {
  const inner = new MemoryBroker(Date.now)
  const [topic] = await inner.createTopics([{ name: TOPIC, partitions: 1 }], NEVER)
  const former = new Listener()
  const listener = new Listener()
  const bothUnderWay = Promise.withResolvers<void>()
  const formerHasLeft = Promise.withResolvers<void>()
  let looks = 0
  let assignments = 0
  let unassignments = 0
  const broker = Object.assign(Object.create(inner) as Broker, {
    // The former opening is done first, has the topic left, and has it opened once more: that one fails.
    async describeTopics(names: readonly string[], signal: AbortSignal) {
      const look = ++looks
      if (look <= 2) await bothUnderWay.promise
      if (look === 3) {
        await until('the topic counts as read', () => listener.begun > 0)
        throw new TapelineError('BROKER_UNAVAILABLE', 'the request was lost')
      }
      return inner.describeTopics(names, signal)
    },
    async openReader() {
      const reader = inner.openMemoryReader()
      const { assign, unassign } = reader
      return Object.assign(reader, {
        async assign(...call: Parameters<typeof assign>) {
          const assignment = ++assignments
          await assign.apply(reader, call)
          if (assignment === 2) await formerHasLeft.promise
        },
        async unassign(...call: Parameters<typeof unassign>) {
          await unassign.apply(reader, call)
          // The first one is that of the listener itself.
          if (++unassignments === 2) setImmediate(formerHasLeft.resolve)
        },
      })
    },
  } satisfies Partial<Broker>)
  const hub = await openTopicHub(broker, quietLog)
  t.after(() => hub.close())
  hub.follow(TOPIC, topic?.id ?? '', former)
  await until('it is being opened', () => looks === 1)
  hub.leave(TOPIC, former)
  hub.follow(TOPIC, topic?.id ?? '', listener)
  await until('it is being opened again', () => looks === 2)
  bothUnderWay.resolve()
  await until('it counts as read', () => listener.begun > 0)
  const records = [
    { key: 'x:A-B', value: Buffer.from('1'), headers: { v: 1, kind: 'event', shard: 0, epoch: 7 } },
  ] as const
  await inner.publish([{ topic: TOPIC, partition: 0, records }], NEVER)
  await until('what comes is handed out', () => listener.batches > 0)
  assert.equal(former.batches, 0)
})

test('a topic counts as read once the reader has answered: who asks before hears of the place where it is read', async (t) => {
  const inner = new MemoryBroker(Date.now)
  const [topic] = await inner.createTopics([{ name: TOPIC, partitions: 1 }], NEVER)
  const failed = Promise.withResolvers<void>()
  let assignments = 0
  const broker = Object.assign(Object.create(inner) as Broker, {
    describeTopics: (...call: Parameters<Broker['describeTopics']>) => inner.describeTopics(...call),
    async openReader() {
      const reader = inner.openMemoryReader()
      const { assign } = reader
      return Object.assign(reader, {
        async assign(...call: Parameters<typeof assign>) {
          if (call[0].some((each) => each.topic === TOPIC) && ++assignments === 1) await failed.promise
          await assign.apply(reader, call)
        },
      })
    },
  } satisfies Partial<Broker>)
  const hub = await openTopicHub(broker, quietLog)
  t.after(() => {
    failed.resolve()
    return hub.close()
  })
  const [first, second] = [new Listener(), new Listener()]
  hub.follow(TOPIC, topic?.id ?? '', first)
  await until('the reader is asked', () => assignments === 1)
  hub.follow(TOPIC, topic?.id ?? '', second)
  assert.equal(hub.feed(TOPIC), undefined)
  assert.deepEqual([first.begun, second.begun], [0, 0])
  const records = [{ key: null, value: Buffer.from('1'), headers: { v: 1, kind: 'event' } }] as const
  await inner.publish([{ topic: TOPIC, partition: 0, records }], NEVER)
  failed.reject(new TapelineError('BROKER_UNAVAILABLE', 'no answer'))
  const feed = await hub.opened(TOPIC, NEVER)
  assert.deepEqual([first.begun, second.begun, feed.nextOffset], [1, 1, 1])
})

interface Outage {
  isAway: boolean
  /** How many readers could not be opened. */
  refusals: number
}

/** A broker whose readers get no answer while it is away. */
function readersAway(inner: MemoryBroker, outage: Outage): Broker {
  const refuse = (): void => {
    if (outage.isAway) throw new TapelineError('BROKER_UNAVAILABLE', 'no answer')
  }
  return Object.assign(Object.create(inner) as Broker, {
    describeTopics: (...call: Parameters<Broker['describeTopics']>) => inner.describeTopics(...call),
    async openReader() {
      if (outage.isAway) outage.refusals++
      refuse()
      const reader = inner.openMemoryReader()
      const { poll } = reader
      return Object.assign(reader, {
        async poll(...call: Parameters<typeof poll>) {
          refuse()
          return poll.apply(reader, call)
        },
      })
    },
  } satisfies Partial<Broker>)
}

test('a broker that is away has one line when that begins, and one when topics are read again', async (t) => {
  const inner = new MemoryBroker(Date.now)
  const lines: string[] = []
  const log = { ...quietLog, warn: (_fields: object, text: string) => void lines.push(text) }
  const outage = { isAway: false, refusals: 0 }
  const hub = await openTopicHub(readersAway(inner, outage), log)
  t.after(() => hub.close())
  outage.isAway = true
  await until('it has tried three times', () => outage.refusals >= 3)
  assert.deepEqual(lines, ['dynamic topics cannot be read, trying again'])
  outage.isAway = false
  await until('they are read again', () => lines.length > 1)
  assert.deepEqual(lines.slice(1), ['dynamic topics are read again'])
})

test('a topic that loses its end while nobody reads it, and grows again: its readers are told when it is read again', async (t) => {
  const inner = new MemoryBroker(Date.now)
  const [topic] = await inner.createTopics([{ name: TOPIC, partitions: 1 }], NEVER)
  const outage = { isAway: false, refusals: 0 }
  const publish = async (begin: number, ...offsets: readonly number[]): Promise<void> => {
    const about = { v: 1, shard: 0, epoch: 7 } as const
    const at = (offset: number) => ({ topic: 'market.trades', partition: 0, offset })
    const records = offsets.map((offset) => ({
      ...{ key: 'x:A-B', value: Buffer.from(`${offset}`) },
      headers: { ...about, kind: 'event', position: at(offset) } as const,
    }))
    const marker = {
      key: null,
      value: null,
      headers: { ...about, kind: 'marker', position: at(begin) },
    } as const
    await inner.publish([{ topic: TOPIC, partition: 0, records: [marker, ...records] }], NEVER)
  }
  const hub = await openTopicHub(readersAway(inner, outage), quietLog)
  t.after(() => hub.close())
  const got: string[] = []
  hub.follow(TOPIC, topic?.id ?? '', {
    begin() {},
    take: ({ events, reset }) =>
      void got.push(
        ...(reset === null ? [] : ['reset']),
        ...events.map(({ value }) => `${Buffer.from(value)}`),
      ),
  })
  await hub.opened(TOPIC, NEVER)
  await publish(1, 1, 2, 3)
  await until('all is handed out', () => got.length === 3)
  outage.isAway = true
  await until('nobody reads', () => outage.refusals > 0)
  inner.topics.get(TOPIC)?.partition(0).cut(1)
  await publish(1, 1, 2, 5, 6)
  outage.isAway = false
  await until('it is read again', () => got.includes('6'))
  assert.deepEqual(got, ['1', '2', '3', 'reset', '5', '6'])
})
