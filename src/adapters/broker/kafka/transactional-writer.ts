import { Producer } from '@platformatic/kafka'
import { isAbort, TapelineError } from '../../../errors.ts'
import type { PartitionAck, PartitionRecords, TransactionalWriter } from '../../../ports/broker.ts'
import type { Cluster } from './cluster.ts'
import { brokerError } from './errors.ts'
import { toMessages } from './messages.ts'
import { measure } from './record-sizes.ts'
import { SendJob } from './send-job.ts'
import { clientOptions, type KafkaSettings } from './settings.ts'

/** After a commit the coordinator refuses the next transaction for some milliseconds: with the library's own pause of a second each would take one. */
const RETRY_MS = 5
const RETRIES = 600

/**
 * Takes a transactional id over: whoever held it before is fenced from now on, and what it had open is aborted. The library
 * asks for a new epoch only with the id -1.
 */
export async function takeOver(
  settings: KafkaSettings,
  cluster: Cluster,
  transactionalId: string,
  signal: AbortSignal,
  onClose: (writer: TransactionalWriter) => void,
): Promise<TransactionalWriter> {
  signal.throwIfAborted()
  const producer = new Producer({
    ...clientOptions(settings),
    idempotent: true,
    transactionalId,
    producerId: -1n,
    producerEpoch: -1,
    retries: RETRIES,
    retryDelay: RETRY_MS,
    compression: settings.compression,
  })
  let open: Awaited<ReturnType<typeof producer.beginTransaction>> | undefined
  let end: TapelineError | undefined
  let inTurn: Promise<unknown> = Promise.resolve()

  const finish = async (error: TapelineError): Promise<void> => {
    end ??= error
    await producer.close(true)
  }

  const write = async (entries: readonly PartitionRecords[]): Promise<readonly PartitionAck[]> => {
    const job = new SendJob(entries, 0)
    const transaction = open ?? (await producer.beginTransaction())
    open = undefined
    for (const round of job.rounds()) {
      const { offsets } = await transaction.send({ messages: round.flatMap(toMessages) })
      for (const batch of round) {
        const at = offsets?.find(
          ({ topic, partition }) => topic === batch.topic && partition === batch.partition,
        )
        job.stored(batch, Number(at?.offset ?? -1))
      }
    }
    await transaction.commit()
    job.succeed()
    return job.result
  }

  const writer: TransactionalWriter = {
    commit(entries, commitSignal) {
      const turn = inTurn.then(async () => {
        commitSignal.throwIfAborted()
        if (end !== undefined) throw end
        measure(entries)
        await checkTopics(cluster, entries, commitSignal)
        if (entries.every(({ records }) => records.length === 0)) return []
        try {
          return await orAborted(write(entries), commitSignal)
        } catch (thrown) {
          // What was written is unknown, so nothing may follow: the owner takes the id over again.
          const error =
            isAbort(thrown) || commitSignal.aborted ? thrown : brokerError(thrown, 'the transaction failed')
          await finish(error instanceof TapelineError ? error : lost())
          throw error
        }
      })
      inTurn = turn.catch(() => undefined)
      return turn
    },
    async close() {
      await finish(new TapelineError('SHUTTING_DOWN', 'the writer is closed'))
      onClose(writer)
    },
  }

  try {
    open = await orAborted(producer.beginTransaction(), signal)
    return writer
  } catch (thrown) {
    await producer.close(true)
    throw signal.aborted ? signal.reason : brokerError(thrown, `${transactionalId} was not taken over`)
  }
}

function lost(): TapelineError {
  return new TapelineError('BROKER_UNAVAILABLE', 'a transaction before this one has an unknown outcome')
}

/** Raises TOPIC_UNKNOWN before anything is written. */
async function checkTopics(
  cluster: Cluster,
  entries: readonly PartitionRecords[],
  signal: AbortSignal,
): Promise<void> {
  for (const { topic, partition } of entries) {
    const state = await cluster.topic(topic, signal)
    if (state === undefined || partition >= state.leaders.length)
      throw new TapelineError('TOPIC_UNKNOWN', `there is no topic ${topic} with a partition ${partition}`)
  }
}

function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
