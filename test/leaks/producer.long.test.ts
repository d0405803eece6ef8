import { test } from 'node:test'
import { openControlBus } from '../../src/control/bus.ts'
import type { RegistryRecord } from '../../src/control/registry-records.ts'
import { createProducerServices } from '../../src/services/producer/producer.ts'
import { NAMES } from '../names.ts'
import { quietAlerts, quietLog, quietMeter } from '../quiet.ts'
import { idleSource } from '../services/producer/idle-source.ts'
import { openBareLog, trades } from '../services/producer/one-shard.ts'
import { assertLevel } from './level.ts'

/** In each round, of which there are two at least. */
const TURNS = 5_000
const STREAMS = 2_000
/** So many live at a time. */
const AT_ONCE = 50

const NEVER = new AbortController().signal
const author = { v: 1, instance: 'leader', epoch: 1, createdAt: 0 } as const

test('a producer keeps nothing of idle turns, nor of streams that were made, written and deleted', async (t) => {
  const { broker, view, registry } = await openBareLog(t)
  const bus = await openControlBus(broker, NAMES, registry, quietLog, NEVER)
  t.after(() => bus.close())
  // A checkpoint is due in each turn.
  let seconds = 0
  const services = await createProducerServices(
    {
      ...{ source: { ...idleSource, next: async () => ({ items: [] }) }, markets: [], broker, registry, bus },
      ...{ names: NAMES, topics: NAMES.fixed, partitions: 1, standing: new Map(), lingerMs: 0 },
      ...{ instance: 'producer', newId: () => 'id', now: () => (seconds += 1_000) },
      ...{ alerts: quietAlerts, log: quietLog, meter: quietMeter },
    },
    NEVER,
  )
  t.after(() => services.close(NEVER))
  await services.publishFixed({ items: [] }, NEVER)

  const idle = async (): Promise<void> => {
    for (let turn = 0; turn < TURNS; turn++)
      await services.publishFixed(await services.fetchData(0, NEVER), NEVER)
  }
  await assertLevel(idle, { mostBytes: TURNS * 20, what: `${TURNS} idle turns` })

  let made = 0
  let offset = 0
  const apply = (key: string, record: RegistryRecord | null): void => view.apply(offset++, key, record)
  const streams = async (): Promise<void> => {
    for (let n = 0; n < STREAMS; n += AT_ONCE) {
      const names = Array.from({ length: AT_ONCE }, () => `app.${made++}`)
      const topics = await broker.createTopics(
        names.map((name) => ({ name, partitions: 1 })),
        NEVER,
      )
      for (const { name, id } of topics)
        apply(`stream:${name}`, {
          ...{ ...author, kind: 'stream', id: name, topic: name, topicId: id, start: [0], state: 'ready' },
          spec: { channel: 'trade', symbols: ['*'], exchanges: [] },
        })
      await services.publishFixed(trades('A-B', `trade-${made}`), NEVER)
      while ((await services.publishDynamic(NEVER)).dynamicWaiting);
      for (const name of names) apply(`stream:${name}`, null)
      await broker.deleteTopics(topics, NEVER)
      await services.publishFixed({ items: [] }, NEVER)
    }
  }
  await assertLevel(streams, { mostBytes: STREAMS * 40, what: `${STREAMS} streams` })
})
