import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { requireServer } from '../../servers/availability.ts'
import { type KafkaServer, kafkaMissing } from '../../servers/kafka.ts'
import { postgresMissing } from '../../servers/postgres.ts'
import { byMarket, type LedgerTrade, readLedger } from '../ledger.ts'
import { until } from '../platform-process.ts'
import { checkClient, checkRows, checkStream, missingTrades } from './checks.ts'
import { type Cluster, openCluster, startAll } from './cluster.ts'
import { drain } from './drain.ts'
import type { Evidence } from './evidence.ts'
import { alertsAt, ownActors, shardsOf } from './operations-view.ts'
import { ResumingClient } from './resuming-client.ts'
import { untilAllStored, untilStored } from './stored.ts'

const SEED = Number(process.env['TAPELINE_SEED'] ?? Date.now() % 1_000_000)
/** Trades a second, and how long each server is away; the whole check: 500, and 60 s and 300 s. */
const RATE = Number(process.env['TAPELINE_RATE'] ?? 200)
const OUTAGE_MS = Number(process.env['TAPELINE_OUTAGE'] ?? 18) * 1_000
/** The broker's word for a member that is silent: ends in each outage, and not where a busy machine holds a process up. */
const SESSION_MS = (OUTAGE_MS * 2) / 3
/** 3: the leader of the controllers changes too where the brokers are killed. */
const BROKERS = process.env['TAPELINE_BROKERS'] === '3' ? 3 : 1
/** A server of a test that was killed takes some seconds to be there again. */
const BACK_WITHIN_MS = 60_000

const ROLES = {
  'producer-1': 'producer',
  'producer-2': 'producer',
  coordinator: 'coordinator',
  'consumer-fixed': 'consumer-fixed',
  gateway: 'gateway',
}
const PRODUCERS = ['producer-1', 'producer-2'] as const
const PARTITIONS = 4
/** The machine that shows an outage in each process. */
const MACHINES: Readonly<Record<keyof typeof ROLES, string>> = {
  'producer-1': 'producer',
  'producer-2': 'producer',
  coordinator: 'coordinator',
  'consumer-fixed': 'consumerFixed',
  gateway: 'consumerDynamic',
}
type Name = keyof typeof ROLES
const NAMES = Object.keys(ROLES) as Name[]

const title = `the broker and the database are away for ${OUTAGE_MS / 1_000} s at ${RATE} trades/s (seed ${SEED})`
describe(title, requireServer(kafkaMissing() ?? postgresMissing()), () => {
  let cluster: Cluster
  let client: ResumingClient
  let passed = 0
  /** Event time in microseconds: since then nothing but the outages disturbs anything. */
  let settled = 0

  before(async () => {
    cluster = await openCluster({
      ...{ seed: SEED, rate: RATE, roles: ROLES, brokers: BROKERS },
      environment: { TAPELINE_ALERTS_AFTER: '6s', TAPELINE_BROKER_SESSION_TIMEOUT: `${SESSION_MS}ms` },
    })
    await startAll(cluster)
    client = new ResumingClient('client', [cluster.api('gateway')], { channel: 'trade', symbols: ['*'] })
    await client.open(AbortSignal.timeout(BACK_WITHIN_MS))
    await until('each producer has its share', async () => {
      const shares = await Promise.all(PRODUCERS.map((name) => shardsOf(cluster, name)))
      return shares.every((share) => share === PARTITIONS / PRODUCERS.length)
    })
    await untilStored(cluster)
    settled = Date.now() * 1_000
    await until('most markets have traded', async () => (await emittedSince()).length >= 10 * RATE)
    await untilAllStored(cluster, settled, BACK_WITHIN_MS)
  })
  after(async () => {
    await client?.close()
    const isWell = passed === 4
    if (!isWell && cluster) console.log(`logs: ${cluster.logs}`)
    await cluster?.close({ keep: !isWell })
  })

  const brokers = (): readonly KafkaServer[] => cluster.kafkaCluster?.servers ?? [cluster.kafka]

  /** What the ledger holds of the time that counts. */
  const emittedSince = async (): Promise<readonly LedgerTrade[]> =>
    (await readLedger(cluster.ledger)).filter(({ ts }) => ts >= settled)

  const readyz = async (name: Name): Promise<{ status: number; text: string }> => {
    const response = await fetch(`${await cluster.process(name).api()}/readyz`)
    return { status: response.status, text: await response.text() }
  }

  /** Waits until a process shows the outage everywhere but in its alerts. That it does within 5 s is held on a clock of its own: `outage-watch.test.ts`. */
  const untilShown = async (name: Name, code: string): Promise<void> => {
    // What serves applications goes on without the database.
    const hasMachine = !(name === 'gateway' && code === 'STORE_UNAVAILABLE')
    await until(
      `${name} is in error with ${code}`,
      async () =>
        !hasMachine ||
        (await ownActors(cluster, name)).some(
          ({ machine, state, errorInfo }) =>
            machine === MACHINES[name] && state === 'error' && errorInfo?.code === code,
        ),
    )
    await until(`${name} is not ready`, async () => {
      const { status, text } = await readyz(name)
      return status === 503 && text.includes(code)
    })
  }

  /** Everything is well again, and the log of the process tells of the beginning and of the end. */
  const untilOver = async (name: Name, code: string): Promise<void> => {
    await until(
      `${name} works again`,
      async () => {
        const actors = await ownActors(cluster, name)
        return (
          (await readyz(name)).status === 200 &&
          actors.every(({ errorInfo }) => errorInfo === null) &&
          (await alertsAt(cluster, name)).filter(({ id }) => !id.includes('@')).length === 0
        )
      },
      BACK_WITHIN_MS,
    )
    // The log goes through this process into its file, and may be behind.
    await until(`${name} logs beginning and end`, async () => {
      const lines = (await readFile(join(cluster.logs, `${name}.log`), 'utf8')).split('\n')
      const told = lines.filter((line) => line.includes(code))
      return ['does not answer', 'answers again'].every((words) => told.some((line) => line.includes(words)))
    })
  }

  const outage = async (
    t: TestContext,
    { code, names }: { readonly code: string; readonly names: readonly Name[] },
    begin: () => Promise<void> | void,
    end: () => Promise<void> | void,
  ): Promise<void> => {
    const since = Date.now()
    await begin()
    const shown = await Promise.all(
      names.map(async (name) => {
        await untilShown(name, code)
        return `${name} ${((Date.now() - since) / 1_000).toFixed(1)} s`
      }),
    )
    t.diagnostic(`shown by ${shown.join(', ')}`)
    await Promise.all(
      names.map((name) =>
        until(`${name} raises an alert`, async () =>
          (await alertsAt(cluster, name)).some((alert) => alert.code === code && !alert.id.includes('@')),
        ),
      ),
    )
    await delay(Math.max(0, OUTAGE_MS - (Date.now() - since)))
    // It stays shown for as long as it lasts.
    await Promise.all(names.map((name) => untilShown(name, code)))
    await end()
    const back = Date.now()
    await Promise.all(names.map((name) => untilOver(name, code)))
    t.diagnostic(`all well ${((Date.now() - back) / 1_000).toFixed(1)} s after it was back`)
    await untilAllStored(cluster, settled, BACK_WITHIN_MS + OUTAGE_MS)
    t.diagnostic(`all stored ${((Date.now() - back) / 1_000).toFixed(1)} s after it was back`)
    passed++
  }

  test('the broker stands still: each role says so, and every trade of the time is stored afterwards', (t) =>
    outage(
      t,
      { code: 'BROKER_UNAVAILABLE', names: NAMES },
      () => void brokers().map((broker) => broker.pause()),
      () => void brokers().map((broker) => broker.resume()),
    ))

  test('the broker is killed and starts again: the same', async (t) => {
    const former = await cluster.kafkaCluster?.controller()
    await outage(
      t,
      { code: 'BROKER_UNAVAILABLE', names: NAMES },
      async () => void (await Promise.all(brokers().map((broker) => broker.kill()))),
      async () => {
        const others = brokers().filter((broker) => broker !== former)
        await Promise.all(others.map((broker) => broker.restart()))
        if (former === undefined) return
        assert.notEqual((await cluster.kafkaCluster?.controller())?.id, former.id, 'another one leads')
        await former.restart()
      },
    )
  })

  test('the database stands still: the fixed consumer and the gateway say so, and all rows arrive', (t) =>
    outage(
      t,
      { code: 'STORE_UNAVAILABLE', names: ['consumer-fixed', 'gateway'] },
      () => cluster.postgres.pause(),
      () => cluster.postgres.resume(),
    ))

  test('after all that nothing is missing, twice or out of order, and there is no gap', async () => {
    // Then the ledger is complete, and what it holds is to come.
    await cluster.simulator.stop()
    await untilAllStored(cluster, settled, BACK_WITHIN_MS)
    const evidence = await drain(cluster, [client])
    assert.deepEqual(
      [
        ...checkRows(evidence),
        ...missingTrades(evidence).flatMap(({ id, ts }) => (ts < settled ? [] : `${id} is missing`)),
        ...outOfOrder(evidence),
        // The producers' start may leave some, from a trade of before on.
        ...evidence.gaps.flatMap(({ from, detail }) => ((from ?? 0) < settled ? [] : `a gap: ${detail}`)),
        ...[...evidence.streams.values()].flatMap((stream) => checkStream(evidence, stream)),
        ...checkClient(evidence, {
          name: client.name,
          topic: client.stream.topic,
          segments: client.segments,
        }),
      ].slice(0, 20),
      [],
    )
    passed++
  })
})

/** Markets whose trades lie in the fixed topic in another order than they were emitted in. */
function outOfOrder({ emitted, published }: Evidence): string[] {
  const places = new Map(emitted.map(({ exchange, symbol, id }, i) => [`${exchange}:${symbol}:${id}`, i]))
  return [...byMarket(published.map(({ trade }) => trade))].flatMap(([market, trades]) => {
    const order = trades.map(({ id }) => places.get(`${market}:${id}`) ?? -1)
    const at = order.findIndex((place, i) => i > 0 && place <= (order[i - 1] ?? 0))
    return at < 0 ? [] : [`${market} is out of order at ${trades[at]?.id}`]
  })
}
