import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openEmbeddedBroker } from '../../src/adapters/broker/embedded.ts'
import { openControlBus } from '../../src/control/bus.ts'
import { ensureTopics } from '../../src/control/topics.ts'
import { relayTransitions } from '../../src/control/transition-relay.ts'
import type { Transition, TransitionFeed, TransitionNews } from '../../src/ports/actors.ts'
import { createTransitionHub } from '../../src/telemetry/transition-hub.ts'
import { NAMES } from '../names.ts'
import { quietLog } from '../quiet.ts'
import { until } from '../services/until.ts'

const NEVER = new AbortController().signal
const EDGE = 'producer.fetchingData.DATA_READY.publishingFixed'

const step = (ts: number): Transition => ({
  ...{ ts, actor: 'producer', machine: 'producer' },
  ...{ from: 'fetchingData', event: 'DATA_READY', to: 'publishingFixed' },
})

/** Processes over one broker, each with its own bus, as if they ran apart; and how many records of a kind they wrote. */
async function setUp(t: TestContext) {
  const broker = await openEmbeddedBroker({ folder: ':memory:' })
  t.after(() => broker.close())
  const settings = { names: NAMES, partitions: 1, retentionMs: 1e9, deadLetterRetentionMs: 1e9 }
  await ensureTopics(broker, settings, NEVER)
  let now = 1_000_000
  const sent: string[] = []
  const instances: { readonly instance: string }[] = []
  const join = async (instance: string) => {
    const bus = await openControlBus(broker, NAMES, { view: { leaderEpoch: -1 } }, quietLog, NEVER)
    const hub = createTransitionHub(instance)
    let watches = 0
    const own: TransitionFeed = {
      ...hub,
      watch(onNews) {
        const watch = hub.watch(onNews)
        watches += 1
        return {
          stop() {
            watch.stop()
            watches -= 1
          },
        }
      },
    }
    instances.push({ instance })
    const counted: typeof bus = {
      ...bus,
      send: (records, signal) => {
        sent.push(...records.map(({ kind }) => `${instance} ${kind}`))
        return bus.send(records, signal)
      },
    }
    const membership = { live: () => instances as never }
    const relay = relayTransitions({
      instance,
      own,
      bus: counted,
      membership,
      now: () => now,
      log: quietLog,
    })
    t.after(async () => {
      relay.close()
      await bus.close()
    })
    return { hub, relay, watched: () => watches }
  }
  return {
    ...{ join, sent },
    pass: (millis: number) => {
      now += millis
    },
  }
}

test('who watches hears of all processes, each step once and all counts; nobody else is told', async (t) => {
  const { join, sent } = await setUp(t)
  const [a, b, c] = [await join('a'), await join('b'), await join('c')]
  for (let ts = 1; ts <= 7; ts++) b.hub.record(step(ts))
  assert.deepEqual(sent, [], 'nothing is sent while nobody watches')

  const told: TransitionNews[] = []
  const watch = a.relay.watch((news) => told.push(news))
  t.after(() => watch.stop())
  const from = (instance: string) => told.filter((news) => news.instance === instance)
  await until('what b did before is there', () => from('b')[0]?.counts[EDGE] === 7)
  b.hub.record(step(8))
  b.hub.record(step(9))
  a.hub.record(step(10))
  const times = () => from('b').flatMap(({ transitions }) => transitions.map(({ ts }) => ts))
  await until('the steps of both are there', () => times().includes(9) && from('a').length > 0)
  assert.deepEqual(times(), [1, 2, 3, 4, 5, 6, 7, 8, 9])
  assert.equal(from('b').at(-1)?.counts[EDGE], 9)
  assert.equal(from('b').at(-1)?.transitions[0]?.actor, 'producer@b')
  assert.equal(from('a').at(-1)?.transitions[0]?.actor, 'producer')
  assert.deepEqual(
    from('c').flatMap(({ transitions }) => transitions),
    [],
  )
  await until('c has heard of it too', () => c.watched() === 1)
})

test('tells the latest steps of many, says how many it leaves out, and stops when nobody asks any more', async (t) => {
  const { join, sent, pass } = await setUp(t)
  const [a, b] = [await join('a'), await join('b')]
  const told: TransitionNews[] = []
  const watch = a.relay.watch((news) => told.push(news))
  await until('b tells', () => told.some(({ instance }) => instance === 'b'))
  for (let ts = 1; ts <= 5_000; ts++) b.hub.record(step(ts))
  await until('the counts are there', () => told.at(-1)?.counts[EDGE] === 5_000)
  const news = told.filter(({ instance }) => instance === 'b')
  assert.equal(
    news.reduce((all, { transitions, skipped }) => all + transitions.length + skipped, 0),
    5_000,
  )
  assert.ok(Math.max(...news.map(({ transitions }) => transitions.length)) <= 100)

  watch.stop()
  pass(60_000)
  await until('b tells nothing any more', () => b.watched() === 0)
  b.hub.record(step(5_001))
  assert.equal(told.at(-1)?.counts[EDGE], 5_000)
  assert.ok(sent.includes('b TRANSITIONS') && !sent.includes('b WATCH_TRANSITIONS'))
})
