import { platformNames } from '../../src/control/names.ts'
import type { Broker, Reader } from '../../src/ports/broker.ts'
import type { Store } from '../../src/ports/store.ts'
import { createConsumerFixedServices } from '../../src/services/consumer-fixed/consumer-fixed.ts'
import { createAlerts } from '../../src/telemetry/alerts.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { createMeter } from '../../src/telemetry/meter.ts'
import { startConsumerFixed } from '../../src/topology/actors.ts'
import { openKafka } from '../../src/topology/engines/servers.ts'
import { LINGER_MS } from '../../src/topology/roles/consumer-fixed.ts'
import { clockMicros } from '../../src/topology/sources.ts'
import type { Measurement } from '../bench.ts'
import type { TemporaryDatabase } from '../servers/database.ts'
import type { KafkaToMeasure } from '../servers/kafka.ts'
import type { StoredTopics } from './topic.ts'

/** Without a commit for so long, records are missing. */
const PATIENCE_MS = 60_000

/**
 * Stores what is in the topics with the machine and the services of the role consumer-fixed, as the platform runs them: from the
 * first poll to the commit that completes the number. Joining the group is not in it.
 */
export async function storeFromKafka(
  kafka: KafkaToMeasure,
  topics: StoredTopics,
  database: TemporaryDatabase,
  records: number,
): Promise<Measurement> {
  const log = createLog({ level: 'warn', pretty: false })
  const meter = createMeter()
  const alerts = createAlerts({ log, meter })
  const signal = AbortSignal.timeout(3_600_000)
  const broker = await openKafka(kafka.config, log, signal)
  const watch = new Watch(records)
  const { maxRows, linger = LINGER_MS.timescale } = kafka.config.consumerFixed
  const services = await createConsumerFixedServices(
    {
      broker: watch.broker(broker, kafka.prefix),
      names: platformNames({
        prefix: kafka.prefix,
        dynamicPrefix: `${kafka.prefix}-app`,
        controlPrefix: `${kafka.prefix}-control`,
      }),
      store: watch.store(database.store),
      topics,
      maxRecords: maxRows,
      lingerMs: linger,
      nowMicros: clockMicros,
      duringBroker: (stop, work) => work(stop),
      raiseAlert: alerts.raise,
      log,
      meter,
    },
    signal,
  )
  const settings = { now: Date.now, random: Math.random, alertAfterMs: 1_000 }
  const actor = startConsumerFixed({ settings, alerts, onTransition: () => {}, log, meter }, services)
  try {
    return await watch.measured
  } finally {
    actor.stop()
    await services.close(signal)
    await broker.close()
  }
}

/** Sees the first poll and all commits pass. */
class Watch {
  readonly #records: number
  readonly #done = Promise.withResolvers<Measurement>()
  #patience: NodeJS.Timeout | undefined
  #began: { readonly at: number; readonly cpu: NodeJS.CpuUsage } | undefined
  #stored = 0

  constructor(records: number) {
    this.#records = records
  }

  get measured(): Promise<Measurement> {
    return this.#done.promise
  }

  /** A group of its own: one of the platform's name would take partitions away from a platform on the same servers. */
  broker(inner: Broker, group: string): Broker {
    return {
      createTopics: (specs, signal) => inner.createTopics(specs, signal),
      deleteTopics: (names, signal) => inner.deleteTopics(names, signal),
      listTopics: (prefix, signal) => inner.listTopics(prefix, signal),
      describeTopics: (names, signal) => inner.describeTopics(names, signal),
      topicIds: (names, signal) => inner.topicIds(names, signal),
      offsetAt: (topic, partition, timestamp, signal) => inner.offsetAt(topic, partition, timestamp, signal),
      publish: (entries, signal) => inner.publish(entries, signal),
      takeOver: (id, signal) => inner.takeOver(id, signal),
      openReader: async (signal) => this.#reader(await inner.openReader(signal)),
      joinGroup: (options, signal) => inner.joinGroup({ ...options, group }, signal),
      ping: (signal) => inner.ping(signal),
      close: () => inner.close(),
    }
  }

  store(inner: Store): Store {
    return {
      lanes: inner.lanes,
      chunkMicros: inner.chunkMicros,
      rowMemory: () => inner.rowMemory(),
      migrate: (signal) => inner.migrate(signal),
      claim: (targets, signal) => inner.claim(targets, signal),
      write: async (writes, signal) => {
        const claims = await inner.write(writes, signal)
        for (const { claim, newOffset } of writes) this.#stored += newOffset - claim.nextOffset
        this.#committed()
        return claims
      },
      trades: (query, signal) => inner.trades(query, signal),
      quotes: (query, signal) => inner.quotes(query, signal),
      candles: (query, signal) => inner.candles(query, signal),
      tendJobs: (signal) => inner.tendJobs(signal),
      ping: (signal) => inner.ping(signal),
      markets: (query, signal) => inner.markets(query, signal),
      query: (sql, options, signal) => inner.query(sql, options, signal),
      close: () => inner.close(),
    }
  }

  #reader(inner: Reader): Reader {
    return {
      assign: (positions, signal) => inner.assign(positions, signal),
      unassign: (partitions, signal) => inner.unassign(partitions, signal),
      poll: (options, signal) => {
        if (this.#began === undefined) {
          this.#began = { at: performance.now(), cpu: process.threadCpuUsage() }
          this.#wait()
        }
        return inner.poll(options, signal)
      },
      close: (signal) => inner.close(signal),
    }
  }

  #committed(): void {
    this.#wait()
    if (this.#stored < this.#records || this.#began === undefined) return
    clearTimeout(this.#patience)
    const { user, system } = process.threadCpuUsage(this.#began.cpu)
    const seconds = (performance.now() - this.#began.at) / 1000
    this.#done.resolve({ records: this.#stored, seconds, mainCpuMicros: user + system })
  }

  #wait(): void {
    clearTimeout(this.#patience)
    const give = () => this.#done.reject(new Error(`only ${this.#stored} of ${this.#records} were stored`))
    this.#patience = setTimeout(give, PATIENCE_MS)
  }
}
