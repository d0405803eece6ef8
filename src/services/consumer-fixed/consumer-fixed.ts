import { untilAborted } from '../../async/abort.ts'
import { createSerializer } from '../../async/serialize.ts'
import { delay } from '../../async/timers.ts'
import { partitionKey } from '../../domain/record.ts'
import type {
  Carried,
  FixedBatch,
  FixedFetch,
  Prepared,
  PreparedBatch,
  PreparedWrite,
  Rejected,
} from '../../ports/pipeline.ts'
import type { PartitionWrite } from '../../ports/store.ts'
import type { Tracer } from '../../ports/trace.ts'
import { createHand } from '../hand.ts'
import { joinFixedTopics } from './claims.ts'
import { writeDeadLetters } from './dead-letters.ts'
import type { ConsumerFixedParts } from './parts.ts'
import { prepareFetches } from './prepare.ts'
import { createReadAhead } from './read-ahead.ts'
import { storeInHalves } from './store-in-halves.ts'
import { writeInLanes } from './write-lanes.ts'

const LOOK_EVERY_MS = 20
/** An alert about dead letters stands for so long after the last one. */
const ALERT_MS = 600_000

/** The services of the fixed consumer's machine. */
export interface ConsumerFixedServices {
  /** Waits for the next batch, which it decodes, checks and encodes while it reads. */
  receiveMessage(signal: AbortSignal): Promise<Carried<FixedBatch>>
  /** Prepares the batch anew where the claims have changed since it was read, and writes dead letters. */
  processMessage(message: Carried<FixedBatch>, signal: AbortSignal): Promise<Carried<PreparedBatch>>
  writeToDB(record: Carried<PreparedBatch>, signal: AbortSignal): Promise<void>
  /** How many partitions this process stores. */
  partitions(): number
  /** How many records of them are not stored yet. */
  countUnstored(signal: AbortSignal): Promise<number>
  /**
   * Waits until all records in the partitions of this process are stored, or the signal aborts. Where these are more than two batches, it waits
   * only for the batch that is being written: the next owner of the partitions stores the rest.
   */
  drain(signal: AbortSignal): Promise<void>
  close(signal: AbortSignal): Promise<void>
}

export async function createConsumerFixedServices(
  given: ConsumerFixedParts,
  signal: AbortSignal,
): Promise<ConsumerFixedServices> {
  const memory = given.store.rowMemory()
  const consumer = { ...given, memory, chunkMicros: given.store.chunkMicros }
  const { broker, names, duringBroker, raiseAlert, store, maxRecords, nowMicros, log, meter, tracer } =
    consumer
  const inTurn = createSerializer()
  const claims = await joinFixedTopics(consumer, signal)
  const hand = createHand<FixedBatch>()
  let isWriting = false

  const ahead = createReadAhead(consumer, {
    claims,
    claimOf(topic, partition) {
      const claim = claims.get(topic, partition)
      const written = hand.held?.prepared.writes.find((write) => isOf(write, topic, partition))
      if (claim === undefined || written === undefined || written.claim.nextOffset !== claim.nextOffset)
        return claim
      return { ...claim, nextOffset: written.newOffset, memory: written.memory }
    },
    isWriting: () => isWriting,
  })

  /** Whether a batch that was prepared ahead follows the claims of now; if not, it is prepared anew. */
  const isCurrent = ({ basis, torn }: Prepared): boolean =>
    torn.length === 0 &&
    basis.every((claim) => {
      const current = claims.get(claim.topic, claim.partition)
      return current === undefined || current.nextOffset === claim.nextOffset
    })

  const prepare = (message: FixedBatch): Prepared => {
    if (isCurrent(message.prepared)) return message.prepared
    message.prepared = prepareFetches(message.fetches, consumer, claims.get)
    claims.doubt(message.prepared.torn)
    return message.prepared
  }

  /**
   * Brings writes level with the present claims. What the database has by now leaves the batch; the rest goes under the present claim. Where the claim
   * stands in the middle of a write, or before it, the log is read again from the place of the claim.
   */
  const settle = async (writes: readonly PreparedWrite[], stop: AbortSignal): Promise<PreparedWrite[]> => {
    await claims.ensure(stop)
    const open: PreparedWrite[] = []
    for (const write of writes) {
      const claim = claims.get(write.claim.topic, write.claim.partition)
      if (claim === undefined) continue
      if (claim.nextOffset === write.claim.nextOffset) open.push({ ...write, claim })
      else if (claim.nextOffset < write.newOffset) claims.doubt([claim])
    }
    return open
  }

  const setApart = async (rejected: readonly Rejected[], stop: AbortSignal): Promise<void> => {
    const last = rejected.at(-1)
    if (last !== undefined) {
      const { topic, partition, record, error } = last
      const detail = `records cannot be stored, the last one of ${topic}:${partition} at ${record.offset}: ${error.message}`
      raiseAlert('dead-letters', 'DEAD_LETTERS', detail, ALERT_MS)
    }
    await duringBroker(stop, (either) => writeDeadLetters(broker, names.deadLetters, rejected, either))
  }

  /** Stores what was read of one partition, without the records that the database refuses. */
  const storePart = (fetch: FixedFetch, stop: AbortSignal): Promise<void> =>
    storeInHalves(fetch, {
      async store(half) {
        await claims.ensure(stop)
        const { writes } = prepareFetches([half], consumer, claims.get)
        const [refused] = await writeInLanes(store, claims, await settle(writes, stop), stop)
        if (refused) throw refused.error
      },
      async reject({ topic, partition }, refused, error) {
        log.warn(
          { topic, partition, offset: refused.offset, reason: error.message },
          'the database refuses a record',
        )
        meter.count('dead_letters_total')
        await setApart([{ topic, partition, record: refused, error }], stop)
      },
    })

  const traceStorage = (to: Tracer, { fetches, rows }: PreparedBatch, start: number): void => {
    const traces = new Map<string, string>()
    for (const fetch of fetches) {
      if (fetch.kind !== 'records') continue
      for (const { headers } of fetch.records)
        if (headers.trace !== undefined) traces.set(headers.trace, fetch.topic)
    }
    for (const [parent, topic] of traces) {
      const attributes = { 'messaging.destination.name': topic, rows }
      const about = { context: to.follow(parent), parent, name: 'store', kind: 'consumer' } as const
      to.end({ ...about, start, end: nowMicros(), attributes })
    }
  }

  const write = async (record: PreparedBatch, stop: AbortSignal): Promise<void> => {
    const open = await settle(record.writes, stop)
    ahead.begin()
    const refused = await writeInLanes(store, claims, open, stop)
    const keys = new Set(refused.map(partitionKey))
    for (const fetch of record.fetches) {
      if (keys.has(partitionKey(fetch))) await storePart(fetch, stop)
    }
  }

  return {
    receiveMessage: (stop) => inTurn(async () => hand.held ?? hand.give(await ahead.take(stop))),

    processMessage: (message, stop) =>
      inTurn(async () => {
        const { writes, rejected, rows } = prepare(message)
        if (rejected.length > 0) {
          const [first] = rejected
          log.warn(
            { count: rejected.length, code: first?.error.code, reason: first?.error.message },
            'dead letters',
          )
          meter.count('dead_letters_total', rejected.length)
          await setApart(rejected, stop)
        }
        return { writes, rows, fetches: message.fetches, done: message.done }
      }),

    writeToDB: (record, stop) =>
      inTurn(async () => {
        const started = nowMicros()
        isWriting = true
        try {
          await write(record, stop)
        } finally {
          isWriting = false
        }
        record.done()
        for (const { segments } of record.writes) {
          for (const { tuples } of segments) memory.release(tuples)
        }
        meter.observe('store_write_seconds', (nowMicros() - started) / 1e6)
        meter.count('stored_rows_total', record.rows)
        if (tracer) traceStorage(tracer, record, started)
        for (const fetch of record.fetches) {
          const first = fetch.kind === 'records' ? fetch.records[0] : undefined
          if (first === undefined) continue
          const waited = Math.max(0, nowMicros() / 1_000 - first.timestamp)
          meter.observe('hop_seconds', waited / 1_000, { hop: 'stored' })
        }
      }),

    partitions: () => claims.size,

    countUnstored: claims.countUnstored,

    async drain(stop) {
      try {
        while (!stop.aborted) {
          const left = await claims.countUnstored(stop)
          if (left > 2 * maxRecords)
            await untilAborted(
              inTurn(async () => undefined),
              stop,
            )
          if (left === 0 || left > 2 * maxRecords) return
          await delay(LOOK_EVERY_MS, stop)
        }
      } catch (error) {
        if (!stop.aborted) throw error
      }
    },

    close: (stop) =>
      inTurn(async () => {
        ahead.close()
        await claims.close(stop)
      }),
  }
}

function isOf({ claim }: PartitionWrite, topic: string, partition: number): boolean {
  return claim.topic === topic && claim.partition === partition
}
