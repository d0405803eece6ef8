import { orAfter } from '../../../async/deadline.ts'
import { deadlineAfter, delay, startTimer } from '../../../async/timers.ts'
import { partitionKey } from '../../../domain/record.ts'
import { TapelineError } from '../../../errors.ts'
import type { PartitionAck, PartitionRecords, TransactionalWriter } from '../../../ports/broker.ts'
import { abortReason } from '../abort-reason.ts'
import type { Cluster } from './cluster.ts'
import { brokerError } from './errors.ts'
import { listOffsets, OFFSET_AT } from './offsets.ts'
import { cut, MAX_BATCH_BYTES, measure } from './record-sizes.ts'
import type { KafkaSettings } from './settings.ts'
import { requirePlace } from './topic-view.ts'
import { KafkaTransaction, TransactionError } from './transaction.ts'

/** How long a commit waits until what it wrote can be read; it is committed all the same. */
const VISIBLE_MS = 1_000
const LOOK_AGAIN_MS = 3
/** How long close waits for a commit that is under way. */
const CLOSE_MS = 2_000
/** How long it may take to give a transaction up that failed. */
const ABORT_MS = 3_000

/**
 * Takes a transactional id over: whoever held it before is fenced from now on, and what it had open is aborted.
 * `onClose` is called when the writer is closed.
 */
export async function takeOver(
  settings: KafkaSettings,
  cluster: Cluster,
  transactionalId: string,
  signal: AbortSignal,
  onClose: (writer: TransactionalWriter) => void,
): Promise<TransactionalWriter> {
  const transaction = await KafkaTransaction.takeOver(cluster, transactionalId, settings.compression, signal)
  /** Why nothing can be committed any more. */
  let end: TapelineError | undefined
  /** What one batch may take: less once the broker has refused one as too large. */
  let mostBytes = MAX_BATCH_BYTES
  let inTurn: Promise<unknown> = Promise.resolve()

  const write = async (
    entries: readonly PartitionRecords[],
    stop: AbortSignal,
  ): Promise<readonly PartitionAck[]> => {
    try {
      await transaction.add(entries, stop)
      const acks = await sendAll(transaction, entries, mostBytes, stop)
      await transaction.end(true, stop)
      return acks
    } catch (thrown) {
      end = await giveUp(transaction, thrown)
      if (stop.aborted) throw abortReason(stop)
      if (end === undefined && thrown instanceof TransactionError && thrown.mostBytes !== undefined) {
        mostBytes = thrown.mostBytes
        return write(entries, stop)
      }
      throw thrown instanceof TransactionError ? thrown.reason : brokerError(thrown, 'the transaction failed')
    }
  }

  const writer: TransactionalWriter = {
    commit(entries, stop) {
      const turn = inTurn.then(async () => {
        if (stop.aborted) throw abortReason(stop)
        if (end !== undefined) throw end
        measure(entries)
        await checkTopics(cluster, entries, stop)
        const filled = entries.filter(({ records }) => records.length > 0)
        if (filled.length === 0)
          return entries.map(({ topic, partition }) => ({ topic, partition, baseOffset: -1 }))
        const acks = await write(filled, stop)
        await untilVisible(cluster, acks, stop)
        return acks
      })
      inTurn = turn.catch(() => undefined)
      return turn
    },
    async close() {
      end ??= new TapelineError('SHUTTING_DOWN', 'the writer is closed')
      // One that takes longer than that will not hear how it ended.
      const { promise: late, resolve } = Promise.withResolvers<void>()
      const timer = startTimer(resolve, CLOSE_MS).unref()
      await Promise.race([inTurn, late])
      timer.stop()
      onClose(writer)
    },
  }
  return writer
}

/** Sends the records in rounds, of which each has one batch of a partition; gives where each entry begins. */
async function sendAll(
  transaction: KafkaTransaction,
  entries: readonly PartitionRecords[],
  mostBytes: number,
  signal: AbortSignal,
): Promise<readonly PartitionAck[]> {
  const lanes = Map.groupBy(
    entries.flatMap(({ topic, partition, records }, entry) =>
      cut(records, mostBytes).map((piece) => ({ topic, partition, entry, records: piece.records })),
    ),
    partitionKey,
  )
  const bases = entries.map(() => -1)
  for (let round = 0; ; round++) {
    const batches = [...lanes.values()].flatMap((lane) => lane[round] ?? [])
    if (batches.length === 0) break
    const offsets = await transaction.send(batches, signal)
    for (const [i, { entry }] of batches.entries()) {
      if (bases[entry] === -1) bases[entry] = offsets[i] ?? -1
    }
  }
  return entries.map(({ topic, partition }, entry) => ({ topic, partition, baseOffset: bases[entry] ?? -1 }))
}

/**
 * Ends a transaction that failed, so that nothing of it is ever read. Gives why the writer cannot go on, where it cannot: it
 * is fenced, or it is not known how the transaction ended.
 */
async function giveUp(transaction: KafkaTransaction, thrown: unknown): Promise<TapelineError | undefined> {
  if (thrown instanceof TransactionError && thrown.reason.code === 'FENCED') return thrown.reason
  const lost = new TapelineError(
    'BROKER_UNAVAILABLE',
    'a transaction before this one has an unknown outcome',
    {
      remedy: 'Nothing to do: the id is taken over again.',
    },
  )
  // A write that may still arrive must not find the next transaction; who takes the id over next shuts it out.
  if (!transaction.canAbort) return lost
  try {
    await transaction.end(false, deadlineAfter(ABORT_MS))
    return undefined
  } catch (error) {
    const isFenced = error instanceof TransactionError && error.reason.code === 'FENCED'
    return isFenced ? error.reason : lost
  }
}

/** Raises TOPIC_UNKNOWN before anything is written. */
async function checkTopics(
  cluster: Cluster,
  entries: readonly PartitionRecords[],
  signal: AbortSignal,
): Promise<void> {
  for (const entry of entries) requirePlace(await cluster.topic(entry.topic, signal), entry)
}

/** The coordinator answers before the partitions know of the commit; a reader to the end would miss it until then. */
async function untilVisible(
  cluster: Cluster,
  acks: readonly PartitionAck[],
  signal: AbortSignal,
): Promise<void> {
  const late = orAfter(signal, VISIBLE_MS)
  try {
    for (;;) {
      const ends = await listOffsets(cluster, acks, OFFSET_AT.end, late)
      if (acks.every((ack) => (ends.get(partitionKey(ack)) ?? Number.POSITIVE_INFINITY) > ack.baseOffset))
        return
      await delay(LOOK_AGAIN_MS, late)
    }
  } catch {
    // Committed it is. Only a reader that looks for the end at this moment may come too early.
  }
}
