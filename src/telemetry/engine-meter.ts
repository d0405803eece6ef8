import { type ErrorCode, isAbort, TapelineError } from '../errors.ts'
import type { Broker, Reader, TransactionalWriter } from '../ports/broker.ts'
import type { CounterName, Meter } from '../ports/log.ts'
import type { Store } from '../ports/store.ts'

/** The broker, with its failures, the group's assignments and its rebalances counted. */
export function meterBroker(broker: Broker, meter: Meter): Broker {
  const counted = countingErrors(meter, 'broker_errors_total', BROKER_FAULTS)
  const reader = (inner: Reader): Reader => ({
    assign: (positions, signal) => counted(inner.assign(positions, signal)),
    unassign: (partitions, signal) => counted(inner.unassign(partitions, signal)),
    poll: (options, signal) => counted(inner.poll(options, signal)),
    close: (signal) => inner.close(signal),
  })
  const writer = (inner: TransactionalWriter): TransactionalWriter => ({
    commit: (entries, signal) => counted(inner.commit(entries, signal)),
    close: () => inner.close(),
  })
  return {
    createTopics: (specs, signal) => counted(broker.createTopics(specs, signal)),
    deleteTopics: (names, signal) => counted(broker.deleteTopics(names, signal)),
    listTopics: (prefix, signal) => counted(broker.listTopics(prefix, signal)),
    describeTopics: (names, signal) => counted(broker.describeTopics(names, signal)),
    topicIds: (names, signal) => counted(broker.topicIds(names, signal)),
    offsetAt: (topic, partition, at, signal) => counted(broker.offsetAt(topic, partition, at, signal)),
    publish: (entries, signal) => counted(broker.publish(entries, signal)),
    takeOver: async (id, signal) => writer(await counted(broker.takeOver(id, signal))),
    openReader: async (signal) => reader(await counted(broker.openReader(signal))),
    joinGroup: (options, signal) => {
      const { group, onAssignment } = options
      const onCounted: typeof onAssignment = (partitions) => {
        meter.count('rebalances_total', 1, { group })
        meter.gauge('partitions_assigned', partitions.length, { group })
        return onAssignment(partitions)
      }
      return counted(broker.joinGroup({ ...options, onAssignment: onCounted }, signal))
    },
    ping: (signal) => broker.ping(signal),
    close: () => broker.close(),
  }
}

/** The store, with its failures counted. What only the caller did wrong, such as SQL that is not acceptable, is none. */
export function meterStore(store: Store, meter: Meter): Store {
  const counted = countingErrors(meter, 'store_errors_total', STORE_FAULTS)
  return {
    lanes: store.lanes,
    chunkMicros: store.chunkMicros,
    rowMemory: () => store.rowMemory(),
    migrate: (signal) => counted(store.migrate(signal)),
    claim: (targets, signal) => counted(store.claim(targets, signal)),
    write: (writes, signal) => counted(store.write(writes, signal)),
    trades: (query, signal) => counted(store.trades(query, signal)),
    quotes: (query, signal) => counted(store.quotes(query, signal)),
    candles: (query, signal) => counted(store.candles(query, signal)),
    markets: (query, signal) => counted(store.markets(query, signal)),
    query: (sql, options, signal) => counted(store.query(sql, options, signal)),
    tendJobs: (signal) => counted(store.tendJobs(signal)),
    ping: (signal) => store.ping(signal),
    close: () => store.close(),
  }
}

const BROKER_FAULTS = /^(BROKER_|TOPIC_|RECORD_|OFFSET_|FENCED|TIMEOUT|INTERNAL)/
const STORE_FAULTS = /^(STORE_|EVENT_|FENCED|TIMEOUT|INTERNAL)/

/** Passes a call's outcome on, and counts the failures whose code is among the faults. */
function countingErrors(
  meter: Meter,
  name: CounterName,
  faults: RegExp,
): <T>(call: Promise<T>) => Promise<T> {
  return async (call) => {
    try {
      return await call
    } catch (error) {
      const code = codeOf(error)
      if (code !== undefined && faults.test(code)) meter.count(name, 1, { code })
      throw error
    }
  }
}

/** An abort is no failure; a deadline that ran out is one. */
function codeOf(error: unknown): ErrorCode | undefined {
  if (error instanceof TapelineError) return error.code
  if (error instanceof Error && error.name === 'TimeoutError') return 'TIMEOUT'
  return isAbort(error) ? undefined : 'INTERNAL'
}
