import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { APPLICATION_NAME } from '../../../src/adapters/store/timescale/pg-session.ts'
import { shardOf } from '../../../src/domain/events.ts'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing, kafkaTool } from '../../servers/kafka.ts'
import { postgresMissing } from '../../servers/postgres.ts'
import { type LedgerTrade, marketOf } from '../ledger.ts'
import { until } from '../platform-process.ts'
import { missingTrades } from './checks.ts'
import { type Cluster, openCluster, startAll } from './cluster.ts'
import { drain } from './drain.ts'
import { gatherEvidence } from './evidence.ts'
import { alertsAt } from './operations-view.ts'
import { untilStored } from './stored.ts'

const SEED = Number(process.env['TAPELINE_SEED'] ?? Date.now() % 1_000_000)
const PARTITIONS = 4
/** The partition that loses records: that of binance:BTC-USDT, the busiest market. */
const LOST = shardOf('binance:BTC-USDT', PARTITIONS)

describe(
  `retention passes what the database does not have (seed ${SEED})`,
  requireServer(kafkaMissing() ?? postgresMissing()),
  () => {
    let cluster: Cluster

    before(async () => {
      cluster = await openCluster({
        ...{ seed: SEED, rate: 300 },
        roles: { rest: 'producer,coordinator,gateway', consumer: 'consumer-fixed' },
      })
      await startAll(cluster)
      await untilStored(cluster)
    })
    after(async () => {
      await cluster?.close()
    })

    test('a gap and an alert, and the consumer goes on with what is left', async () => {
      await cluster.process('consumer').kill()
      const endOf = async (): Promise<number> => {
        const { topics } = await cluster
          .process('rest')
          .get<{ topics: { name: string; offsets: { end: number }[] }[] }>('/v1/topics?all=true')
        return topics.find(({ name }) => name === 'market.trades')?.offsets[LOST]?.end ?? 0
      }
      let [stored, end] = [0, 0]
      // What the consumer had sent when it was killed is committed before its connections end.
      await until('only the other process is connected to the database', async () => {
        const [row] = await cluster.sql<{ n: string }>(
          `select count(*) as n from pg_stat_activity where application_name = '${APPLICATION_NAME}'`,
        )
        return (
          cluster.databaseLink('consumer').connections() === 0 &&
          Number(row?.n) === cluster.databaseLink('rest').connections()
        )
      })
      await until('more is published', async () => {
        const [row] = await cluster.sql<{ stored: string }>(
          `select next_offset as stored from tapeline_offsets where topic = 'market.trades' and partition = ${LOST}`,
        )
        stored = Number(row?.stored)
        end = await endOf()
        return end > stored + 200
      })
      const file = join(cluster.folder, 'delete.json')
      const partitions = [{ topic: 'market.trades', partition: LOST, offset: end }]
      await writeFile(file, JSON.stringify({ partitions, version: 1 }))
      await kafkaTool('org.apache.kafka.tools.DeleteRecordsCommand', [
        ...['--bootstrap-server', cluster.kafka.bootstrap, '--offset-json-file', file],
      ])
      await cluster.process('consumer').start()
      await untilStored(cluster)
      const detail = `retention removed offsets ${stored} to ${end - 1} of market.trades:${LOST} before they were stored`
      const gaps = () =>
        cluster.sql<{ detail: string }>(
          `select detail from status where source = 'tapeline' and state = 'gap'`,
        )
      // It is a record like others, of another topic than the trades.
      await until('the gap is stored', async () => (await gaps()).length > 0)
      assert.deepEqual(await gaps(), [{ detail }])
      await until('the alert is seen at the gateway', async () =>
        (await alertsAt(cluster, 'rest')).some(
          (alert) => alert.code === 'OFFSET_OUT_OF_RANGE' && alert.message === detail,
        ),
      )
      await cluster.simulator.stop()
      let evidence = await drain(cluster, [])
      const missing = (): readonly LedgerTrade[] =>
        missingTrades(evidence).filter((trade) => shardOf(marketOf(trade), PARTITIONS) !== LOST)
      await until('nothing is missing in other partitions', async () => {
        evidence = await gatherEvidence(cluster)
        return missing().length === 0
      }).catch(() => assert.deepEqual(missing(), [], 'nothing is missing in other partitions'))
      const ids = evidence.stored.map((trade) => `${marketOf(trade)}:${trade.id}`)
      assert.equal(new Set(ids).size, ids.length, 'nothing is stored twice')
    })
  },
)
