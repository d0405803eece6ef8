import type { TestContext } from 'node:test'
import { type ControlBus, openControlBus } from '../../../src/control/bus.ts'
import type { ControlRecord } from '../../../src/control/control-records.ts'
import type { Membership } from '../../../src/control/membership.ts'
import { openRegistry } from '../../../src/control/registry.ts'
import { ensureTopics } from '../../../src/control/topics.ts'
import { createLeader } from '../../../src/services/coordinator/leader.ts'
import type { CoordinatorParts } from '../../../src/services/coordinator/requests.ts'
import { NAMES } from '../../names.ts'
import { quietAlerts, quietLog } from '../../quiet.ts'
import { MemoryBroker } from '../../world/memory-broker.ts'
import { until } from '../until.ts'
import { NEVER } from './offices.ts'

type Member = ReturnType<Membership['live']>[number]

/** What the parts of one coordinator stand on, in memory. The test says who is there, and sees what is sent. */
export async function openOffice(t: TestContext) {
  const broker = new MemoryBroker(Date.now)
  const settings = { names: NAMES, partitions: 2, retentionMs: 1e9, deadLetterRetentionMs: 1e9 }
  await ensureTopics(broker, settings, NEVER)
  const registry = await openRegistry(broker, NAMES, quietLog, NEVER)
  const bus = await openControlBus(broker, NAMES, registry, quietLog, NEVER)
  const clock = { ms: 1_000_000 }
  const members: Member[] = []
  const sent: ControlRecord[] = []
  const recorded: ControlBus = {
    ...bus,
    async send(records, signal) {
      sent.push(...records)
      await bus.send(records, signal)
    },
  }
  const leader = createLeader({
    ...{ broker, names: NAMES, registry, instance: 'me', now: () => clock.ms, log: quietLog },
  })
  let ids = 0
  const parts: CoordinatorParts = {
    ...{ broker, names: NAMES, registry, bus: recorded, leader, instance: 'me', log: quietLog },
    ...{ now: () => clock.ms, newId: () => `id${++ids}`, alerts: quietAlerts },
    membership: { live: () => members, reading() {}, report() {}, offer() {}, close() {} },
    settings: {
      ...{ maxStreams: 15, maxTopics: 12 },
      graceMs: 10_000,
      maxPerApplication: 10,
      maxWebhooksPerApplication: 10,
      retentionMs: 1e9,
    },
  }
  t.after(async () => {
    await leader.leave()
    await bus.close()
    await registry.close()
    await broker.close()
  })
  /** It leads once the group has given it the registry. */
  const lead = (): Promise<void> => until('it leads', () => leader.lead(NEVER))
  return { broker, registry, bus, leader, lead, clock, members, sent, parts }
}
