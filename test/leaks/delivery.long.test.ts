import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as afterPromises } from 'node:timers/promises'
import type { ControlBus } from '../../src/control/bus.ts'
import type { ControlRecord } from '../../src/control/control-records.ts'
import type { Registry } from '../../src/control/registry.ts'
import { createStreamDesk } from '../../src/control/stream-desk.ts'
import type { Broker } from '../../src/ports/broker.ts'
import type { Lease, StreamDesk } from '../../src/ports/streams.ts'
import type { AppEndpoint } from '../../src/ports/transport.ts'
import { createDelivery } from '../../src/services/consumer-dynamic/consumer-dynamic.ts'
import { openTopicHub } from '../../src/services/consumer-dynamic/topic-hub.ts'
import { ActorRoster } from '../../src/topology/actors.ts'
import { NAMES } from '../names.ts'
import { quietAlerts, quietLog, quietMeter } from '../quiet.ts'
import { until } from '../services/until.ts'
import { assertLevel } from './level.ts'
import { Turns } from './turns.ts'

const TURNS = 10_000
/** In each round, of which there are two at least. */
const STREAMS = 10_000
const REQUESTS = 5_000
/** So many live at a time, all of one application. */
const AT_ONCE = 100
/** Less than anything kept of each would be. */
const MOST_BYTES = STREAMS * 20

const NEVER = new AbortController().signal

/** A broker that has every topic, all empty, and whose readers wait for leave to turn. */
function emptyBroker(turns: Turns): Broker {
  const reader = {
    ...{ assign: async () => {}, unassign: async () => {}, close: async () => {} },
    poll: () => turns.take().then(() => []),
  }
  return {
    openReader: async () => reader,
    describeTopics: async (names: readonly string[]) =>
      names.map((name) => ({
        ...{ name, id: name, partitions: 1, compacted: false },
        offsets: [{ earliest: 0, end: 0 }],
      })),
  } as unknown as Broker
}

const leaseOf = (id: string): Lease => ({
  ...{ id, app: 'app', ttlMs: 0, topic: `app.${id}`, topicId: `app.${id}`, opensTopic: true, createdAt: 0 },
  ...{ standing: true, spec: { channel: 'trade', symbols: ['*'], exchanges: [] } },
})

const listener = { take() {}, begin() {} }

test('an idle reader of dynamic topics keeps nothing of its turns', async () => {
  const turns = new Turns()
  const hub = await openTopicHub(emptyBroker(turns), quietLog)
  hub.follow('app.one', 'app.one', listener)
  await hub.opened('app.one', NEVER)
  await assertLevel(() => turns.run(TURNS), { mostBytes: TURNS * 20, what: `${TURNS} idle turns` })
  const closed = hub.close()
  await turns.run(1)
  await closed
})

test('streams that an application subscribed to and left leave nothing in the delivery', async () => {
  const turns = new Turns()
  const roster = new ActorRoster()
  const actorParts = {
    settings: { now: Date.now, random: () => 0, alertAfterMs: 60_000 },
    alerts: { ...quietAlerts, list: () => [] },
    ...{ onTransition: () => {}, log: quietLog, meter: quietMeter },
  }
  const desk = {
    ...{ get: leaseOf, watch: () => () => {}, reading: () => {}, noteRead: () => {} },
    find: async (id: string) => leaseOf(id),
  } as unknown as StreamDesk
  const delivery = await createDelivery({
    ...{ broker: emptyBroker(turns), names: NAMES, desk, instance: 'g', log: quietLog, meter: quietMeter },
    bus: { on: () => () => {} } as unknown as ControlBus,
    registry: {} as Registry,
    spawn: (app, services) => roster.spawnConsumerDynamic(actorParts, app, services),
    nowMicros: () => 0,
  })
  let subscribed = 0
  const endpoint: AppEndpoint = {
    ...{ id: 'socket', pendingBytes: 0, closed: false, sendEncoded() {}, drained: async () => {} },
    send({ op }) {
      assert.equal(op, 'subscribed')
      subscribed++
    },
  }
  let made = 0
  const comeAndGo = async (): Promise<void> => {
    for (let n = 0; n < STREAMS; n += AT_ONCE) {
      const connection = delivery.connect(`app-${made}`, endpoint)
      for (let i = 0; i < AT_ONCE; i++) connection.subscribe(`lease-${made++}`, undefined)
      while (subscribed < made) await afterPromises()
      connection.close()
    }
  }
  await assertLevel(comeAndGo, {
    mostBytes: MOST_BYTES,
    what: `${STREAMS} streams`,
  })
  assert.deepEqual(roster.list(), [])
  const closed = delivery.close()
  await turns.run(1)
  await closed
})

test('requests for streams, of which half were never answered, leave nothing at the desk', async () => {
  const listeners = new Map<string, Set<(record: ControlRecord) => void>>()
  const on = (kind: string, heard: (record: ControlRecord) => void) => {
    const known = listeners.get(kind) ?? new Set()
    listeners.set(kind, known.add(heard))
    return () => known.delete(heard)
  }
  const bus = {
    on,
    first: (kind: string, fits: (record: ControlRecord) => boolean, signal: AbortSignal) =>
      new Promise<ControlRecord>((resolve, reject) => {
        const stop = on(kind, (record) => fits(record) && end(() => resolve(record)))
        const onAbort = (): void => end(() => reject(signal.reason))
        const end = (then: () => void): void => {
          stop()
          signal.removeEventListener('abort', onAbort)
          then()
        }
        signal.addEventListener('abort', onAbort)
      }),
    async send([request]: readonly ControlRecord[]) {
      const { requestId } = request as { requestId: string }
      if (Number(requestId) % 2 === 1) return
      const reply = {
        ...{ v: 1, instance: 'leader', epoch: 1, kind: 'REPLY' },
        requestId,
        registryOffset: 0,
        failure: null,
      }
      for (const heard of [...(listeners.get('REPLY') ?? [])]) heard(reply as ControlRecord)
    },
  } as unknown as ControlBus
  const watching = new Set<unknown>()
  const registry = {
    ...{ view: { lease: leaseOf, withheld: () => undefined }, reached: async () => {} },
    watch(watcher: unknown) {
      watching.add(watcher)
      return () => watching.delete(watcher)
    },
  } as unknown as Registry
  let made = 0
  const newId = (): string => String(made++)
  const desk = createStreamDesk({ ...{ instance: 'g', bus, registry, newId }, membership: {} as never })
  const ofTheDesk = watching.size
  const spec = leaseOf('').spec
  const ask = async (): Promise<void> => {
    for (let n = 0; n < REQUESTS; n += AT_ONCE) {
      const gone = new AbortController()
      const asked = Array.from({ length: AT_ONCE }, () =>
        desk.request({ leaseId: `lease-${made}`, app: 'app', spec, ttlMs: 0 }, gone.signal),
      )
      await Promise.all(asked.filter((_, i) => i % 2 === 0))
      gone.abort()
      await Promise.allSettled(asked)
    }
  }
  await assertLevel(ask, { mostBytes: REQUESTS * 20, what: `${REQUESTS} requests` })
  await until('nobody listens any more', () => watching.size === ofTheDesk)
  assert.equal(listeners.get('REPLY')?.size, 0)
})
