import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { openKafkaBroker } from '../../../src/adapters/broker/kafka.ts'
import type { Broker } from '../../../src/ports/broker.ts'
import { seededRandom } from '../../../src/simulator/random.ts'
import { deadline } from '../../contract/broker-fixtures.ts'
import { SEED } from '../../seed.ts'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing } from '../../servers/kafka.ts'
import { type KafkaCluster, startKafkaCluster } from '../../servers/kafka-cluster.ts'
import { BrokerLoad } from './broker-load.ts'
import { kafkaSettings } from './kafka-fixtures.ts'

/** So often each of the three is restarted. */
const ROUNDS = Number(process.env['TAPELINE_ROUNDS'] ?? 1)
/** Leaders that are moved. */
const MOVES = 16
/** Where the coordinators of transactions are: they move with the leaders. */
const TRANSACTIONS = '__transaction_state'
const COORDINATORS = 4

describe(`three brokers (seed ${SEED})`, requireServer(kafkaMissing()), () => {
  const random = seededRandom(`three brokers ${SEED}`)
  let kafka: KafkaCluster
  let broker: Broker
  before(async () => {
    kafka = await startKafkaCluster()
    const settings = { ...kafkaSettings(''), bootstrap: kafka.bootstrap }
    broker = await openKafkaBroker(settings, deadline())
  })
  after(async () => {
    await broker?.close()
    await kafka?.close()
  })

  const pick = (count: number): number => Math.floor(random() * count)

  test('leaders are moved by hand, coordinators of transactions too: nothing is lost or twice, and the order stays', async (t) => {
    const load = await BrokerLoad.begin(broker)
    t.after(() => load.end())
    await kafka.untilWhole()
    for (let move = 0; move < MOVES; move++) {
      const topic = move % 4 === 3 ? TRANSACTIONS : (load.topics[pick(load.topics.length)] ?? '')
      const partitions = topic === TRANSACTIONS ? COORDINATORS : load.partitions
      const moves = Array.from({ length: partitions }, (_, partition) => ({
        ...{ topic, partition, to: 1 + pick(kafka.servers.length) },
      }))
      await kafka.moveLeaders(moves)
      await load.moves()
    }
    const { violations, summary } = await load.check()
    assert.deepEqual(violations, [], `seed ${SEED}`)
    t.diagnostic(summary)
  })

  test("brokers are restarted one by one, one of them by a kill, one comes back empty, and the controllers' leader is killed", async (t) => {
    const load = await BrokerLoad.begin(broker)
    t.after(() => load.end())
    for (let round = 0; round < ROUNDS; round++) {
      const controller = await kafka.controller()
      const [inOrder, empty] = kafka.servers.filter(({ id }) => id !== controller.id)
      assert.ok(inOrder && empty)
      await kafka.untilWhole()
      await inOrder.stop()
      await inOrder.restart()
      await load.moves()
      await kafka.untilWhole()
      await empty.kill()
      await load.moves()
      await empty.empty()
      await empty.restart()
      await kafka.untilWhole()
      const leader = await kafka.controller()
      await leader.kill()
      await load.moves()
      await leader.restart()
      await load.moves()
    }
    const { violations, summary } = await load.check()
    assert.deepEqual(violations, [], `seed ${SEED}`)
    t.diagnostic(summary)
  })
})
