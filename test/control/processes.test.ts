import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openEmbeddedBroker } from '../../src/adapters/broker/embedded.ts'
import { openControlBus } from '../../src/control/bus.ts'
import { joinMembership } from '../../src/control/membership.ts'
import { reportOf } from '../../src/control/process-report.ts'
import { joinProcesses } from '../../src/control/processes.ts'
import { ensureTopics } from '../../src/control/topics.ts'
import { TapelineError } from '../../src/errors.ts'
import type { ActorReport, Alert } from '../../src/ports/actors.ts'
import { NAMES } from '../names.ts'
import { quietLog } from '../quiet.ts'
import { until } from '../services/until.ts'

const NEVER = new AbortController().signal

const actor = (
  id: string,
  machine: ActorReport['machine'],
  more: Partial<ActorReport> = {},
): ActorReport => ({
  ...{
    id,
    machine,
    state: 'idle',
    since: '2026-01-01T00:00:00.000Z',
    restarts: 0,
    errorInfo: null,
    context: {},
  },
  ...more,
})

/** Processes over one broker, each with its own bus, as if they ran apart. */
async function setUp(t: TestContext) {
  const broker = await openEmbeddedBroker({ folder: ':memory:' })
  t.after(() => broker.close())
  const settings = { names: NAMES, partitions: 1, retentionMs: 1e9, deadLetterRetentionMs: 1e9 }
  await ensureTopics(broker, settings, NEVER)
  let now = 1_000_000

  const join = async (
    instance: string,
    actors: readonly ActorReport[],
    alerts: readonly Alert[] = [],
    { mute = false, answerMs }: { readonly mute?: boolean; readonly answerMs?: number } = {},
  ) => {
    const bus = await openControlBus(broker, NAMES, { view: { leaderEpoch: -1 } }, quietLog, NEVER)
    const membership = joinMembership(bus, { instance, roles: ['producer'] }, () => now, quietLog)
    const resets: string[] = []
    const reset = (id: string): void => {
      if (!actors.some((each) => each.id === id))
        throw new TapelineError('ACTOR_UNKNOWN', `no actor ${id} runs here`)
      resets.push(id)
    }
    const own = { instance, actors: () => actors, reset, alerts: () => alerts }
    const processes = joinProcesses({
      ...{ own, bus, membership, newId: () => `${instance}-${Math.random()}`, log: quietLog },
      ...(answerMs !== undefined && { answerMs }),
    })
    if (mute) processes.close()
    const close = async (): Promise<void> => {
      processes.close()
      membership.close()
      await bus.close()
    }
    t.after(close)
    return { ...processes, resets, membership }
  }
  const pass = (millis: number): void => {
    now += millis
  }
  return { join, pass }
}

const idsOf = (list: readonly { readonly id: string }[]): string[] => list.map(({ id }) => id).sort()

test('every process sees the machines and alerts of all, those of applications only where they run', async (t) => {
  const { join } = await setUp(t)
  const alert = { id: 'producer', code: 'SOURCE_STALE', message: 'silent', since: '2026-01-01T00:00:00.000Z' }
  const failing = actor('producer', 'producer', {
    state: 'error',
    restarts: 2,
    errorInfo: {
      code: 'SOURCE_STALE',
      message: 'silent',
      step: 'fetchingData',
      attempt: 3,
      retryable: true,
      since: 1,
    },
    context: { shards: [0, 1], source: { name: 's', way: 'none' } },
  })
  const a = await join('a', [failing], [alert])
  const b = await join('b', [
    actor('coordinator', 'coordinator'),
    actor('consumer-dynamic:app', 'consumerDynamic'),
  ])
  await until('they know each other', () => a.actors.list().length === 2 && b.actors.list().length === 3)
  assert.deepEqual(idsOf(a.actors.list()), ['coordinator@b', 'producer'])
  assert.deepEqual(idsOf(b.actors.list()), ['consumer-dynamic:app', 'coordinator', 'producer@a'])
  assert.deepEqual(
    b.actors.list().find(({ id }) => id === 'producer@a'),
    { ...failing, id: 'producer@a', instance: 'a' },
  )
  assert.ok(a.actors.list().every(({ id, instance }) => instance === (id.includes('@') ? 'b' : 'a')))
  assert.deepEqual(a.alerts(), [{ ...alert, instance: 'a' }])
  assert.deepEqual(b.alerts(), [{ ...alert, id: 'producer@a', instance: 'a' }])
})

test('a process that has been silent is no longer listed', async (t) => {
  const { join, pass } = await setUp(t)
  const a = await join('a', [actor('producer', 'producer')])
  const b = await join('b', [actor('coordinator', 'coordinator')])
  await until('they know each other', () => a.actors.list().length === 2)
  b.membership.close()
  pass(7_001)
  assert.deepEqual(idsOf(a.actors.list()), ['producer'])
  await assert.rejects(a.actors.reset('coordinator@b', NEVER), { code: 'ACTOR_UNKNOWN' })
})

test('RESET reaches an actor of another process, and says what came of it', async (t) => {
  const { join } = await setUp(t)
  const a = await join('a', [actor('producer', 'producer')])
  const b = await join('b', [actor('producer', 'producer')])
  await until('they know each other', () => a.actors.list().length === 2)
  await a.actors.reset('producer@b', NEVER)
  assert.deepEqual([a.resets, b.resets], [[], ['producer']])
  await a.actors.reset('producer', NEVER)
  await a.actors.reset('producer@a', NEVER)
  assert.deepEqual([a.resets, b.resets], [['producer', 'producer'], ['producer']])
  for (const id of ['nobody', 'nobody@a', 'nobody@b', 'producer@c'])
    await assert.rejects(a.actors.reset(id, NEVER), { code: 'ACTOR_UNKNOWN' }, id)
})

test('a process that does not answer in time is CONTROL_UNAVAILABLE', async (t) => {
  const { join } = await setUp(t)
  const a = await join('a', [], [], { answerMs: 300 })
  await join('b', [actor('producer', 'producer')], [], { mute: true })
  await until('it is known', () => a.actors.list().length === 1)
  await assert.rejects(a.actors.reset('producer@b', NEVER), {
    code: 'CONTROL_UNAVAILABLE',
    message: /process b/,
  })
})

test('what a heartbeat carries is bounded', () => {
  const topics = Array.from({ length: 5_000 }, (_, i) => `app.${i}`)
  const errorInfo = {
    code: 'INTERNAL',
    message: 'x'.repeat(10_000),
    step: 's',
    attempt: 1,
    retryable: true,
    since: 1,
  }
  const many = Array.from({ length: 100 }, (_, i) => i)
  const report = reportOf(
    many.map((i) => actor(`p${i}`, 'producer', { errorInfo, context: { targetTopic: topics, batch: 1 } })),
    many.map((i) => ({ id: `a${i}`, code: 'INTERNAL', message: 'y'.repeat(10_000), since: 's' })),
  )
  assert.ok(JSON.stringify(report).length < 16_000, `${JSON.stringify(report).length} characters`)
  assert.deepEqual(report.actors[0]?.context, { targetTopic: topics.slice(0, 10), batch: 1 })
})

test('a process that reads 100,000 leases is heard of with all of them, and those that it leaves are left', async (t) => {
  const { join } = await setUp(t)
  const [here, there] = [await join('here', []), await join('there', [])]
  let leases = Array.from({ length: 100_000 }, (_, n) => `01jx${String(n).padStart(22, '0')}`)
  there.membership.reading(() => leases)
  const readThere = () => here.membership.live().find(({ instance }) => instance === 'there')?.reading ?? []
  there.membership.report(() => ({ actors: [], alerts: [] }))
  await until('all are known', () => readThere().length === leases.length)
  assert.deepEqual(readThere(), leases)
  leases = leases.slice(0, 2)
  there.membership.report(() => ({ actors: [], alerts: [] }))
  await until('the others are left', () => readThere().length === 2)
})

test('what the source of one process gives, another knows from its heartbeat; one with too many markets names none', async (t) => {
  const { join } = await setUp(t)
  const [producer, gateway] = [await join('producer', []), await join('gateway', [])]
  const offerOf = () => gateway.membership.live().find(({ instance }) => instance === 'producer')?.offer
  const channels = ['trade', 'status'] as const
  producer.membership.offer(() => ({ channels, markets: ['kraken:BTC-USD'] }))
  await until('the offer is known', () => offerOf() !== undefined)
  assert.deepEqual(offerOf(), { channels, markets: ['kraken:BTC-USD'] })
  const markets = Array.from({ length: 1_001 }, (_, i) => `kraken:X${i}-USD`)
  producer.membership.offer(() => ({ channels, markets }))
  await until('it names none', () => offerOf()?.markets === undefined)
  assert.deepEqual(offerOf(), { channels })
})
