import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openEmbeddedBroker } from '../../../src/adapters/broker/embedded.ts'
import { parseStreamRequest } from '../../../src/domain/stream-spec.ts'
import { ulid } from '../../../src/domain/ulid.ts'
import type { Broker, Reader } from '../../../src/ports/broker.ts'
import { checkOutEarlier, earlierMissing } from '../../earlier-build.ts'
import { NAMES } from '../../names.ts'
import { quietAlerts, quietLog, quietMeter } from '../../quiet.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const NEVER = new AbortController().signal

/**
 * A leader with the code of a folder over a broker, while `work` runs. The earlier build takes no names; what it is
 * given besides does not disturb it.
 */
async function lead(root: string, cluster: Broker, work: (parts: Led) => Promise<void>): Promise<void> {
  const load = (path: string) => import(join(root, 'src', path))
  const isEarlier = root !== ROOT
  const broker = isEarlier ? asEarlier(cluster) : cluster
  const { ensureTopics } = await load('control/topics.ts')
  const settings = { partitions: 2, retentionMs: 1e9, deadLetterRetentionMs: 1e9 }
  await ensureTopics(broker, { ...settings, prefix: 'market', names: NAMES }, NEVER)
  const names = isEarlier ? [] : [NAMES]
  const registry = await (await load('control/registry.ts')).openRegistry(broker, ...names, quietLog, NEVER)
  const { openControlBus } = await load('control/bus.ts')
  const bus = await openControlBus(broker, ...names, registry, quietLog, NEVER)
  const instance = isEarlier ? 'earlier' : 'later'
  const { joinMembership } = await load('control/membership.ts')
  const me = { instance, roles: ['coordinator'] }
  const membership = joinMembership(bus, me, () => performance.now(), quietLog)
  const common = { broker, names: NAMES, registry, bus, membership, instance, now: Date.now, log: quietLog }
  const leader = (await load('services/coordinator/leader.ts')).createLeader(common)
  const newId = (): string => ulid(Date.now(), Math.random)
  const most = {
    ...{ maxPerApplication: 1_000, maxWebhooksPerApplication: 100 },
    ...{ maxStreams: 10_000, maxTopics: 10_000 },
  }
  const limits = { graceMs: 0, ...most, retentionMs: 1e9, fixedTopics: NAMES.fixed }
  const { createCoordinatorServices } = await load('services/coordinator/coordinator.ts')
  const services = await createCoordinatorServices(
    { ...common, alerts: quietAlerts, leader, newId, settings: limits },
    NEVER,
  )
  const { startCoordinator } = await load('topology/actors.ts')
  const { createAlerts } = await load('telemetry/alerts.ts')
  const machine = startCoordinator(
    {
      settings: { now: Date.now, random: () => 0, alertAfterMs: 60_000 },
      ...{ alerts: createAlerts({ log: quietLog, meter: quietMeter }), onTransition: () => {} },
      ...{ log: quietLog, meter: quietMeter },
    },
    services,
    () => ({}),
  )
  const desk = (await load('control/stream-desk.ts')).createStreamDesk({ ...common, newId })
  try {
    await work({ desk, view: registry.view })
    assert.equal(leader.leading, true)
  } finally {
    machine.stop()
    membership.close()
    await services.close()
    await bus.close()
    await registry.close()
  }
}

/** The port as the earlier build calls it: topics are deleted by their names, and readers are used without signals. */
function asEarlier(broker: Broker): object {
  const { createTopics, listTopics, offsetAt, publish, takeOver, joinGroup } = boundTo(broker)
  return {
    ...{ createTopics, listTopics, offsetAt, publish, takeOver, joinGroup },
    async deleteTopics(names: readonly string[], signal: AbortSignal) {
      const ids = await broker.topicIds(names, signal)
      await broker.deleteTopics(
        [...ids].map(([name, id]) => ({ name, id })),
        signal,
      )
    },
    async openReader() {
      const reader = await broker.openReader(NEVER)
      return {
        assign: (positions: Parameters<Reader['assign']>[0]) => reader.assign(positions, NEVER),
        unassign: (...call: Parameters<Reader['unassign']>) => reader.unassign(...call),
        poll: (...call: Parameters<Reader['poll']>) => reader.poll(...call),
        close: () => reader.close(NEVER),
      }
    },
  }
}

/** A broker whose methods may be taken out of it. */
function boundTo(broker: Broker): Broker {
  return new Proxy(broker, {
    get: (target, name) => (target as unknown as Record<PropertyKey, () => unknown>)[name]?.bind(target),
  })
}

interface Led {
  readonly desk: {
    request(ask: object, signal: AbortSignal): Promise<{ readonly topic: string }>
    end(id: string, app: string, signal: AbortSignal): Promise<void>
    list(): readonly { readonly id: string; readonly topic: string }[]
  }
  readonly view: { streams(): Iterable<{ readonly topic: string; readonly state: string }> }
}

test('a leader of the build before and one of this build in turn: nothing is lost, and only what ended is deleted', {
  skip: earlierMissing() ?? false,
}, async (t) => {
  const { path: earlier, remove } = await checkOutEarlier()
  t.after(remove)
  const broker = await openEmbeddedBroker({ folder: ':memory:' })
  t.after(() => broker.close())
  const expected = new Map<string, string>()
  for (let turn = 0; turn < 6; turn++) {
    await lead(turn % 2 === 0 ? earlier : ROOT, broker, async ({ desk, view }) => {
      for (const n of [0, 1]) {
        const leaseId = `lease-${turn}-${n}`
        const request = parseStreamRequest({ channel: 'trade', symbols: [`S${turn}${n}-USD`], ttl: 0 }, 0)
        expected.set(leaseId, (await desk.request({ leaseId, app: 'app', ...request }, NEVER)).topic)
      }
      // One of the turn before, which a leader of the other build has made.
      const ended = `lease-${turn - 1}-0`
      const gone = expected.get(ended)
      if (gone !== undefined) {
        await desk.end(ended, 'app', NEVER)
        expected.delete(ended)
        const isThere = async () => (await broker.listTopics(gone, NEVER)).length > 0
        for (const end = Date.now() + 20_000; (await isThere()) && Date.now() < end; );
        assert.equal(await isThere(), false, 'its topic is deleted by whoever leads')
      }
      const leases = new Map(desk.list().map(({ id, topic }) => [id, topic]))
      assert.deepEqual(leases, expected, `turn ${turn}`)
      const topics = (await broker.listTopics(NAMES.dynamic, NEVER)).map(({ name }) => name)
      assert.deepEqual(topics.toSorted(), [...expected.values()].toSorted(), `turn ${turn}`)
      const ready = [...view.streams()].filter(({ state }) => state === 'ready').map(({ topic }) => topic)
      assert.deepEqual(ready.toSorted(), topics.toSorted())
    })
  }
})
