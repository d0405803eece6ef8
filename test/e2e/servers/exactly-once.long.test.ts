import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing } from '../../servers/kafka.ts'
import { postgresMissing } from '../../servers/postgres.ts'
import { until } from '../platform-process.ts'
import { checkClient, checkRows, checkStream, missingTrades } from './checks.ts'
import { type Cluster, openCluster, startAll } from './cluster.ts'
import { drain } from './drain.ts'
import { ResumingClient } from './resuming-client.ts'

/** 500,000 for the whole check of issue 4. */
const TRADES = Number(process.env['TAPELINE_TRADES'] ?? 50_000)
const SEED = Number(process.env['TAPELINE_SEED'] ?? Date.now() % 1_000_000)
const RATE = 5_000
/** How long all of it may take to arrive, at a rate that a busy machine holds too. */
const WITHIN_MS = 60_000 + TRADES / 2

const ROLES = {
  producer: 'producer',
  coordinator: 'coordinator',
  'consumer-1': 'consumer-fixed',
  'consumer-2': 'consumer-fixed',
  gateway: 'gateway',
}

const title = `${TRADES} trades through five processes on Kafka and PostgreSQL (seed ${SEED})`
describe(title, requireServer(kafkaMissing() ?? postgresMissing()), () => {
  let cluster: Cluster
  let client: ResumingClient

  before(async () => {
    cluster = await openCluster({ seed: SEED, rate: RATE, events: TRADES, roles: ROLES })
    await startAll(cluster)
    client = new ResumingClient('client', [cluster.api('gateway')], { channel: 'trade', symbols: ['*'] })
    await client.open(AbortSignal.timeout(30_000))
  })
  after(async () => {
    client?.close()
    await cluster?.close()
  })

  test('all are stored, each once, and the stream has what its topic should have', async (t) => {
    const started = performance.now()
    await until(
      'all are stored',
      async () =>
        Number((await cluster.sql<{ n: string }>('select count(*) as n from trades'))[0]?.n) >= TRADES,
      WITHIN_MS,
    )
    t.diagnostic(`stored after ${Math.round(performance.now() - started)} ms`)
    const evidence = await drain(cluster, [client])
    assert.equal(evidence.emitted.length, TRADES)
    const { lease, topic } = client.stream
    const stream = evidence.streams.get(evidence.leases.get(lease)?.streamId ?? '')
    assert.ok(stream, 'the registry has the stream')
    assert.deepEqual(
      [
        ...checkRows(evidence),
        ...checkStream(evidence, stream),
        ...checkClient(evidence, { name: client.name, topic, segments: client.segments }),
        ...missingTrades(evidence).map(({ id }) => `${id} is missing`),
      ],
      [],
    )
    t.diagnostic(`${evidence.stored.length} rows, ${client.count} events to the client`)
  })

  test('every process ends in order', async () => {
    client.close()
    const codes = await Promise.all(cluster.names.map((name) => cluster.process(name).stop()))
    assert.deepEqual(
      codes,
      cluster.names.map(() => 0),
    )
  })
})
