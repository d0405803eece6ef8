import { setTimeout as delay } from 'node:timers/promises'
import { withDeadline } from '../../control/deadline.ts'
import { toTapelineError } from '../../errors.ts'
import type { PartitionFetch } from '../../ports/broker.ts'
import type { FixedBatch, PreparedBatch } from '../../ports/pipeline.ts'
import type { PartitionWrite } from '../../ports/store.ts'
import { createSerializer } from '../serialize.ts'
import { joinFixedTopics } from './claims.ts'
import { writeDeadLetters } from './dead-letters.ts'
import type { ConsumerFixedParts } from './parts.ts'
import { prepareFetches } from './prepare.ts'
import { storeInParts } from './store-in-parts.ts'

const POLL_MS = 500
const COMMIT_EVERY_MS = 5_000
/** How long one write may take before its outcome counts as unknown. */
const WRITE_TIMEOUT_MS = 60_000

/** The services of the fixed consumer's machine. */
export interface ConsumerFixedServices {
  receiveMessage(signal: AbortSignal): Promise<FixedBatch>
  processMessage(message: FixedBatch, signal: AbortSignal): Promise<PreparedBatch>
  writeToDB(record: PreparedBatch, signal: AbortSignal): Promise<void>
  close(signal: AbortSignal): Promise<void>
}

export async function createConsumerFixedServices(
  parts: ConsumerFixedParts,
  signal: AbortSignal,
): Promise<ConsumerFixedServices> {
  const { broker, store, maxRecords, lingerMs, nowMicros, log, meter } = parts
  const inTurn = createSerializer()
  const claims = await joinFixedTopics(parts, signal)
  /** The batch that was handed out and is not written yet: a receive that was aborted in between loses nothing. */
  let inHand: FixedBatch | undefined
  /** What was polled for the next batch: it too survives an abort. */
  let gathered: PartitionFetch[] = []
  let committedAt = 0

  const receive = async (stop: AbortSignal): Promise<FixedBatch> => {
    while (inHand === undefined) {
      stop.throwIfAborted()
      await gather(POLL_MS, stop)
      if (gathered.length === 0) continue
      // Without load the batch waits a little for company; under load it is large already.
      if (countRecords(gathered) < maxRecords / 10) {
        await delay(lingerMs, undefined, { signal: stop })
        await gather(0, stop)
      }
      inHand = { fetches: gathered, records: countRecords(gathered) }
      gathered = []
    }
    return inHand
  }

  const gather = async (waitMs: number, stop: AbortSignal): Promise<void> => {
    const reader = await claims.reader(stop)
    for (const fetch of await reader.poll({ maxRecords, waitMs }, stop)) {
      if (fetch.kind === 'deleted') continue
      gathered.push(fetch)
      if (fetch.kind !== 'records') continue
      const labels = { topic: fetch.topic, partition: String(fetch.partition) }
      meter.gauge('consumer_lag_records', fetch.endOffset - fetch.nextOffset, labels)
    }
  }

  const write = async (writes: readonly PartitionWrite[], stop: AbortSignal): Promise<void> => {
    if (writes.length === 0) return
    try {
      claims.advance(await store.write(writes, stop))
    } catch (error) {
      const failure = toTapelineError(error, 'STORE_UNAVAILABLE')
      if (failure.code !== 'FENCED') {
        claims.doubt()
        throw failure
      }
      // Nothing was written: what is fenced leaves the batch, the rest goes on under the claims it has.
      const lost = new Set(failure.partitions.map(({ topic, partition }) => `${topic}:${partition}`))
      if (lost.size === 0) throw failure
      claims.yieldTo(failure.partitions)
      await write(
        writes.filter(({ claim }) => !lost.has(`${claim.topic}:${claim.partition}`)),
        stop,
      )
    }
  }

  return {
    receiveMessage: (stop) => inTurn(() => receive(stop)),

    processMessage: (message, stop) =>
      inTurn(async () => {
        const { writes, rejected, rows } = prepareFetches(message.fetches, parts, claims)
        if (rejected.length > 0) {
          const [first] = rejected
          log.warn(
            { count: rejected.length, code: first?.error.code, reason: first?.error.message },
            'dead letters',
          )
          meter.count('dead_letters_total', rejected.length)
          await writeDeadLetters(broker, rejected, stop)
        }
        return { writes, rows }
      }),

    writeToDB: (record, stop) =>
      inTurn(async () => {
        const started = nowMicros()
        await withDeadline(stop, WRITE_TIMEOUT_MS, async (deadline) => {
          try {
            await write(await settleUnknown(record.writes, deadline), deadline)
          } catch (error) {
            if (toTapelineError(error).code !== 'EVENT_INVALID') throw error
            for (const fetch of inHand?.fetches ?? []) await storePart(fetch, deadline)
          }
        })
        inHand = undefined
        meter.observe('store_write_seconds', (nowMicros() - started) / 1e6)
        meter.count('stored_rows_total', record.rows)
        if (nowMicros() - committedAt < COMMIT_EVERY_MS * 1000) return
        committedAt = nowMicros()
        await claims.commit(stop)
      }),

    close: (stop) =>
      inTurn(async () => {
        await claims.commit(stop)
        await claims.close()
      }),
  }

  /** Stores what was read of one partition without the records that the database refuses. */
  function storePart(fetch: PartitionFetch, stop: AbortSignal): Promise<void> {
    return storeInParts(fetch, {
      async store(part) {
        await claims.reader(stop)
        await write(await settleUnknown(prepareFetches([part], parts, claims).writes, stop), stop)
      },
      async reject({ topic, partition }, refused, error) {
        log.warn(
          { topic, partition, offset: refused.offset, reason: error.message },
          'the database refuses a record',
        )
        meter.count('dead_letters_total')
        await writeDeadLetters(broker, [{ topic, partition, record: refused, error }], stop)
      },
    })
  }

  /**
   * After a write of unknown outcome the claims are taken anew: what the database has by now leaves the batch, the rest goes
   * again under the new claim. Where it stands before a part, or in the middle of it, the log is read again from there.
   */
  async function settleUnknown(
    writes: readonly PartitionWrite[],
    stop: AbortSignal,
  ): Promise<PartitionWrite[]> {
    await claims.reader(stop)
    const open: PartitionWrite[] = []
    let isElsewhere = false
    for (const write of writes) {
      const claim = claims.get(write.claim.topic, write.claim.partition)
      if (claim === undefined || claim.nextOffset >= write.newOffset) continue
      if (claim.nextOffset === write.claim.nextOffset) open.push({ ...write, claim })
      else isElsewhere = true
    }
    if (isElsewhere) claims.doubt()
    return open
  }
}

function countRecords(fetches: readonly PartitionFetch[]): number {
  return fetches.reduce((sum, fetch) => sum + (fetch.kind === 'records' ? fetch.records.length : 0), 0)
}
