import assert from 'node:assert/strict'
import { test } from 'node:test'
import { followTopic } from '../../src/control/follow.ts'
import type { Broker } from '../../src/ports/broker.ts'
import {
  type ActorParts,
  ActorRoster,
  startConsumerFixed,
  startCoordinator,
  startProducer,
} from '../../src/topology/actors.ts'
import { quietAlerts, quietLog, quietMeter } from '../quiet.ts'
import { assertLevel } from './level.ts'
import { Turns } from './turns.ts'

/** In each round, of which there are two at least. */
const TURNS = 5_000
/** Less than anything kept of each turn would be. */
const MOST_BYTES = TURNS * 20

const assertIdle = (turns: Turns): Promise<void> =>
  assertLevel(() => turns.run(TURNS), { mostBytes: MOST_BYTES, what: `${TURNS} idle turns` })

const unused = async (): Promise<never> => {
  throw new Error('an idle machine does not ask for this')
}

const parts = {
  settings: { now: Date.now, random: () => 0, alertAfterMs: 60_000 },
  alerts: { ...quietAlerts, list: () => [] },
  ...{ onTransition: () => {}, log: quietLog, meter: quietMeter },
} satisfies ActorParts

test('a follower keeps nothing of its idle turns', async () => {
  const turns = new Turns()
  const reader = { assign: async () => {}, poll: () => turns.take().then(() => []), close: async () => {} }
  const broker = { openReader: async () => reader } as unknown as Broker
  const follower = await followTopic(broker, 'topic', 0, () => {}, quietLog)
  await assertIdle(turns)
  const closed = follower.close()
  await turns.run(1)
  await closed
})

test('a follower keeps nothing of who waited in vain', async () => {
  const reader = { assign: async () => {}, poll: () => new Promise(() => {}), close: async () => {} }
  const broker = { openReader: async () => reader } as unknown as Broker
  const follower = await followTopic(broker, 'topic', 0, () => {}, quietLog)
  const wait = async (): Promise<void> => {
    for (let n = 0; n < TURNS; n++) {
      const stop = new AbortController()
      const waiting = follower.reached(1, stop.signal)
      stop.abort()
      await assert.rejects(waiting)
    }
  }
  await assertLevel(wait, { mostBytes: MOST_BYTES, what: `${TURNS} waits` })
})

test('an idle producer keeps nothing of its turns', async () => {
  const turns = new Turns()
  const actor = startProducer(
    parts,
    {
      fetchData: () => turns.take().then(() => ({ items: [] })),
      publishFixed: async () => ({ topics: [], records: 0, dynamicWaiting: false }),
      publishDynamic: async () => ({ topics: [], records: 0, dynamicWaiting: false }),
      createTopic: unused,
    } as never,
    () => ({}),
  )
  await assertIdle(turns)
  actor.stop()
})

test('an idle coordinator keeps nothing of its turns', async () => {
  const turns = new Turns()
  const services = {
    receiveRequests: () => turns.take().then(() => ({ kind: 'create', requests: [] })),
    ...{ createTopics: async () => {}, notifyActors: async () => {}, deleteTopics: async () => {} },
  }
  const actor = startCoordinator(parts, services as never, () => ({}))
  await assertIdle(turns)
  actor.stop()
})

test('an idle consumer of the fixed topics keeps nothing of its turns', async () => {
  const turns = new Turns()
  const services = {
    receiveMessage: () => turns.take().then(() => ({ fetches: [], records: 0 })),
    processMessage: async () => ({ writes: [], rows: 0 }),
    writeToDB: async () => {},
    partitions: () => 0,
  }
  const actor = startConsumerFixed(parts, services as never)
  await assertIdle(turns)
  actor.stop()
})

test('an idle consumer of dynamic topics keeps nothing of its turns', async () => {
  const turns = new Turns()
  const actor = new ActorRoster().spawnConsumerDynamic(parts, 'app', {
    subscribeTopics: async () => {},
    receiveMessage: () => turns.take().then(() => ({ fetches: [] })),
    processMessage: async () => {},
    interactWithApp: async () => ({ endpoints: 0, events: 0 }),
    slow: () => ({ behind: 0, latest: 0 }),
  } as never)
  actor.send({ type: 'SUBSCRIBE_TO_TOPIC', topic: ['app.one'] })
  await assertIdle(turns)
  actor.stop()
})

test('failures that heal leave nothing behind', async () => {
  const turns = new Turns()
  const services = {
    receiveMessage: async () => {
      await turns.take()
      throw new Error('away')
    },
    ...{ processMessage: unused, writeToDB: unused, partitions: () => 0 },
  }
  const actor = startConsumerFixed(parts, services as never)
  const retrying = setInterval(() => actor.retry('INTERNAL' as never), 1)
  await assertLevel(() => turns.run(200), { mostBytes: 200 * 500, what: '200 failures' })
  clearInterval(retrying)
  actor.stop()
})
