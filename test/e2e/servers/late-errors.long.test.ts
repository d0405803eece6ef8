import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { seededRandom } from '../../../src/simulator/random.ts'
import { NAMES } from '../../names.ts'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing } from '../../servers/kafka.ts'
import { changeAnswers, changeProduced } from '../../servers/kafka-answers.ts'
import { postgresMissing } from '../../servers/postgres.ts'
import { until } from '../platform-process.ts'
import { checkClient, checkRows, checkStream, missingTrades } from './checks.ts'
import { type Cluster, openCluster, startAll } from './cluster.ts'
import { type Evidence, gatherEvidence, readAll } from './evidence.ts'
import { ResumingClient } from './resuming-client.ts'

const SEED = Number(process.env['TAPELINE_SEED'] ?? Date.now() % 1_000_000)
const TRADES = 4_000
const RATE = 400
const STREAMS = 8
const LETTERS = 12
const WITHIN_MS = 90_000

/** What a broker may say of batches that it has appended: https://kafka.apache.org/protocol#protocol_error_codes */
const CODES = [3, 6, 7, 19, 20, 56]
/** So much of what is answered is told as an error, and the first answer of each kind of topic; for how long the same place says so. */
const SHARE = 0.08
const LONGEST_MS = 1_200

/** What rows, streams and applications lack, or have twice. */
function violations(evidence: Evidence, clients: readonly ResumingClient[]): string[] {
  return [
    ...checkRows(evidence),
    ...missingTrades(evidence).map(({ id }) => `${id} is missing`),
    ...clients.flatMap(({ name, stream, segments }) => {
      const record = evidence.streams.get(evidence.leases.get(stream.lease)?.streamId ?? '')
      return [
        ...(record === undefined
          ? [`${name}: the registry lacks its stream`]
          : checkStream(evidence, record)),
        ...checkClient(evidence, { name, topic: stream.topic, segments }),
      ]
    }),
  ]
}

describe(
  `errors after the append in a whole platform (seed ${SEED})`,
  requireServer(kafkaMissing() ?? postgresMissing()),
  () => {
    const random = seededRandom(`late errors ${SEED}`)
    const spells = new Map<string, { readonly code: number; readonly end: number }>()
    const told = new Map<string, number>()
    /** Begins spells of errors by chance, each of one partition. */
    const codeFor = (topic: string, partition: number): number | undefined => {
      const place = `${topic}:${partition}`
      const spell = spells.get(place)
      if (spell !== undefined && spell.end > Date.now()) return spell.code
      const kind = topic.startsWith(NAMES.dynamic) ? 'dynamic' : topic
      if (random() >= SHARE && told.has(kind)) return undefined
      const code = CODES[Math.floor(random() * CODES.length)] ?? 6
      spells.set(place, { code, end: Date.now() + random() * LONGEST_MS })
      told.set(kind, (told.get(kind) ?? 0) + 1)
      return code
    }
    const rewrite = changeAnswers((answer) =>
      changeProduced(answer, ({ topic, partition, errorCode }) =>
        errorCode === 0 ? codeFor(topic, partition) : undefined,
      ),
    )
    let cluster: Cluster
    const clients: ResumingClient[] = []

    before(async () => {
      const roles = { producer: 'producer', consumer: 'consumer-fixed', gateway: 'coordinator,gateway' }
      cluster = await openCluster({ seed: SEED, rate: RATE, events: TRADES, roles, rewrite })
      await startAll(cluster)
    })
    after(async () => {
      await Promise.all(clients.map((client) => client.close()))
      await cluster?.close()
    })

    test('fixed and dynamic topics, the registry by transactions and dead letters: nothing is lost or twice', async (t) => {
      const symbols = ['*', 'BTC-*', 'ETH-*', 'XRP-*', 'SOL-*', 'DOGE-*', 'BTC-USD', 'ETH-USD'].slice(
        0,
        STREAMS,
      )
      for (const symbol of symbols) {
        const spec = { channel: 'trade', symbols: [symbol] }
        const client = new ResumingClient(`client ${symbol}`, [cluster.api('gateway')], spec)
        await client.open(AbortSignal.timeout(60_000))
        clients.push(client)
      }
      const broker = await cluster.openBroker()
      t.after(() => broker.close())
      // Nobody else writes candles here; these become dead letters.
      for (let i = 0; i < LETTERS; i++)
        await broker.publish(
          [
            {
              ...{ topic: NAMES.fixed.candle, partition: i % 4 },
              records: [{ key: null, value: Buffer.from(`bad ${i}`), headers: { v: 1, kind: 'event' } }],
            },
          ],
          AbortSignal.timeout(30_000),
        )
      await until(
        'all are stored',
        async () =>
          Number((await cluster.sql<{ n: string }>('select count(*) as n from trades'))[0]?.n) >= TRADES,
        WITHIN_MS,
      )
      const letters: string[] = []
      await until(
        'the dead letters are written',
        async () => {
          letters.length = 0
          await readAll(broker, NAMES.deadLetters, (_partition, { key }) => letters.push(key ?? ''))
          return letters.length >= LETTERS
        },
        WITHIN_MS,
      )
      await cluster.simulator.stop()
      let evidence = await gatherEvidence(cluster)
      // Streams come after the fixed topics: what is wrong for good stays.
      await until(
        'streams and applications have all',
        async () => {
          evidence = await gatherEvidence(cluster)
          return violations(evidence, clients).length === 0
        },
        WITHIN_MS,
      ).catch(() => undefined)
      t.diagnostic(`errors told: ${[...told].map(([kind, count]) => `${kind} ${count}`).join(', ')}`)
      for (const kind of [NAMES.fixed.trade, 'dynamic', NAMES.registry, NAMES.deadLetters])
        assert.ok((told.get(kind) ?? 0) > 0, `nothing was told of ${kind}: ${[...told]}`)
      assert.deepEqual(violations(evidence, clients), [])
      assert.equal(evidence.leases.size, clients.length, 'each request has one lease')
      assert.deepEqual([new Set(letters).size, letters.length], [LETTERS, LETTERS], 'each letter once')
    })
  },
)
