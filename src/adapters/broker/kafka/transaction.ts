import { doubled } from '../../../async/back-off.ts'
import { delay } from '../../../async/timers.ts'
import { partitionKey } from '../../../domain/record.ts'
import { TapelineError } from '../../../errors.ts'
import type { OutgoingRecord, PartitionRecords } from '../../../ports/broker.ts'
import { abortReason } from '../abort-reason.ts'
import type { Cluster } from './cluster.ts'
import { errorOfCode, isRefusal } from './error-table.ts'
import { brokerError } from './errors.ts'
import { persist } from './persist.ts'
import { afterDoubt, type BatchOutcome, outcomeOf, unanswered } from './produce-outcome.ts'
import type { EncodedBatch } from './produce-request.ts'
import { encodeBatch } from './record-encoder.ts'
import { BROKER_WAIT_MS, type KafkaSettings } from './settings.ts'

/** An owner that died in the middle holds readers up so long at most, unless another takes over before. */
const TRANSACTION_TIMEOUT_MS = 15_000
/** The coordinator still ends the transaction before: some milliseconds. */
const CONCURRENT_PAUSE_MS = 5
const PAUSE_MS = 50
const LONGEST_PAUSE_MS = 500

/** The protocol's codes. Source: https://kafka.apache.org/protocol#protocol_error_codes */
const NOT_COORDINATOR = new Set([14, 15, 16])
const CONCURRENT_TRANSACTIONS = 51
const FENCED = new Set([47, 49, 90])
/** There is no transaction to end, or it was ended by the coordinator: it took too long. */
const INVALID_STATE = 48
const UNKNOWN_TOPIC = 3
/** The transaction cannot be committed, and the id can be used on after it is aborted. */
const ABORTABLE = 120
/** Nothing was done because of another partition of the request. */
const NOT_ATTEMPTED = 55

/** A transaction failed, for a reason that is told to the caller. */
export class TransactionError extends Error {
  readonly reason: TapelineError
  /** Where batches of several records were too large: how large they may be in the next attempt, in bytes. */
  readonly mostBytes: number | undefined

  constructor(reason: TapelineError, mostBytes?: number) {
    super(reason.message, { cause: reason })
    this.reason = reason
    this.mostBytes = mostBytes
  }
}

interface TransactionalBatch {
  readonly topic: string
  readonly partition: number
  readonly records: readonly OutgoingRecord[]
}

type SentBatch = EncodedBatch & {
  readonly count: number
  /** An answer was missing, or left open whether it is stored. */
  isInDoubt: boolean
}

/**
 * The requests under a transactional id, one transaction after the other. It is long, and one file: what each answer means depends on what the
 * requests before it have left open. Source of the protocol: https://cwiki.apache.org/confluence/display/KAFKA/KIP-98
 */
export class KafkaTransaction {
  readonly #cluster: Cluster
  readonly #id: string
  readonly #compression: KafkaSettings['compression']
  readonly #sequences = new Map<string, number>()
  #coordinator: number | undefined
  #producerId = -1n
  #producerEpoch = -1
  /** What was sent and may be stored: its sequence numbers are used, or not. */
  readonly #open = new Set<SentBatch>()
  /** The broker takes no further batch under the numbers that are known here. */
  #isOutOfSequence = false
  /** The coordinator knows of partitions that are written. */
  #isBegun = false
  /** The transaction has been told to end with a commit. */
  #isCommitting = false

  private constructor(cluster: Cluster, id: string, compression: KafkaSettings['compression']) {
    this.#cluster = cluster
    this.#id = id
    this.#compression = compression
  }

  /**
   * Only with the producer id -1 the coordinator gives a new epoch whoever asks; it fences the one before and aborts what that
   * had open.
   */
  static async takeOver(
    cluster: Cluster,
    id: string,
    compression: KafkaSettings['compression'],
    signal: AbortSignal,
  ): Promise<KafkaTransaction> {
    const transaction = new KafkaTransaction(cluster, id, compression)
    await transaction
      .#persist(signal, async (node) => {
        const answer = await cluster.request(
          'initProducerId',
          node,
          [id, TRANSACTION_TIMEOUT_MS, -1n, -1],
          signal,
        )
        transaction.#producerId = answer.producerId
        transaction.#producerEpoch = answer.producerEpoch
        return answer.errorCode
      })
      .catch((error: unknown) => {
        throw error instanceof TransactionError ? error.reason : error
      })
    return transaction
  }

  /**
   * Whether another transaction can follow once this one is aborted: no commit is under way, no write may still arrive, and none
   * is in doubt. The broker would take a batch under a number that is used for the aborted one, and drop it.
   */
  get canAbort(): boolean {
    return this.#open.size === 0 && !this.#isOutOfSequence && !this.#isCommitting
  }

  /** Tells the coordinator which partitions are written; the first ones of a transaction begin it. */
  async add(entries: readonly PartitionRecords[], signal: AbortSignal): Promise<void> {
    const topics = [...Map.groupBy(entries, ({ topic }) => topic)].map(([name, own]) => ({
      name,
      partitions: [...new Set(own.map(({ partition }) => partition))],
    }))
    const wanted = {
      transactionalId: this.#id,
      producerId: this.#producerId,
      producerEpoch: this.#producerEpoch,
      verifyOnly: false,
      topics,
    }
    const names = topics.map(({ name }) => name)
    let absences = 0
    await this.#persist(signal, async (node) => {
      const answer = await this.#cluster.request('addPartitionsToTxn', node, [[wanted]], signal)
      const codes = answer.resultsByTransaction
        .flatMap(({ topicResults }) => topicResults)
        .flatMap(({ resultsByPartition }) =>
          resultsByPartition.map(({ partitionErrorCode }) => partitionErrorCode),
        )
      const failed = codes.filter((code) => code !== 0)
      const code = failed.find((each) => each !== NOT_ATTEMPTED) ?? failed[0] ?? answer.errorCode
      if (code === UNKNOWN_TOPIC) absences = await this.#countAbsence(names, absences, signal)
      return code
    })
    this.#isBegun = true
  }

  /** Sends batches, at most one of a partition, until all are stored; gives the offset of each. */
  async send(batches: readonly TransactionalBatch[], signal: AbortSignal): Promise<readonly number[]> {
    const encoded = batches.map((batch) => ({
      ...this.#encode(batch),
      count: batch.records.length,
      isInDoubt: false,
    }))
    const offsets = new Map<SentBatch, number>()
    let absences = 0
    for (let rounds = 0; ; rounds++) {
      const missing = encoded.filter((batch) => !offsets.has(batch))
      await this.#sendOnce(missing, offsets, signal)
      if (offsets.size === encoded.length) break
      await delay(doubled(CONCURRENT_PAUSE_MS, LONGEST_PAUSE_MS, rounds), signal)
      absences = await this.#countAbsence([...new Set(missing.map(({ topic }) => topic))], absences, signal)
    }
    return encoded.map((batch) => offsets.get(batch) ?? -1)
  }

  /** Commits or aborts. The coordinator answers the same again, so that a lost answer is asked for anew. */
  async end(commit: boolean, signal: AbortSignal): Promise<void> {
    if (commit) this.#isCommitting = true
    await this.#persist(signal, async (node) => {
      const args = [this.#id, this.#producerId, this.#producerEpoch, commit] as const
      const { errorCode } = await this.#cluster.request('endTxn', node, [...args], signal)
      return errorCode === INVALID_STATE && !this.#isBegun && !commit ? 0 : errorCode
    })
    this.#isCommitting = false
    this.#isBegun = false
  }

  /** Looks for topics that seem to be gone; those that are not found twice are. Raises a TransactionError, TOPIC_UNKNOWN. */
  async #countAbsence(names: readonly string[], before: number, signal: AbortSignal): Promise<number> {
    const limits = { signal, closing: signal }
    const found = await persist(() => this.#cluster.topics(names, signal), limits)
    const gone = names.find((name) => !found.has(name))
    if (gone === undefined) return 0
    if (before > 0)
      throw new TransactionError(new TapelineError('TOPIC_UNKNOWN', `the topic ${gone} is gone`))
    return before + 1
  }

  #encode({ topic, partition, records }: TransactionalBatch): EncodedBatch {
    const identity = {
      producerId: this.#producerId,
      producerEpoch: this.#producerEpoch,
      sequence: this.#sequences.get(partitionKey({ topic, partition })) ?? 0,
      transactional: true,
    }
    return { topic, partition, bytes: encodeBatch(records, identity, this.#compression) }
  }

  async #sendOnce(
    batches: readonly SentBatch[],
    offsets: Map<SentBatch, number>,
    signal: AbortSignal,
  ): Promise<void> {
    const byLeader = Map.groupBy(
      batches,
      ({ topic, partition }) => this.#cluster.known(topic)?.leaders[partition] ?? -1,
    )
    const refusals: { readonly batch: SentBatch; readonly error: TapelineError }[] = []
    await Promise.all(
      [...byLeader].map(async ([leader, own]) => {
        if (leader === -1) return
        const outcomes = await this.#sendTo(leader, own, signal)
        for (const batch of own) {
          const error = this.#settle(batch, outcomes(batch), offsets)
          if (error !== undefined) refusals.push({ batch, error })
        }
      }),
    )
    const [first] = refusals
    if (first === undefined) return
    const isDivisible = refusals.every(
      ({ batch, error }) => error.code === 'RECORD_TOO_LARGE' && batch.count > 1,
    )
    const half = Math.ceil(Math.min(...refusals.map(({ batch }) => batch.bytes.length)) / 2)
    throw new TransactionError(first.error, isDivisible ? half : undefined)
  }

  /** What has become of a batch; gives why it never will be stored, where that is so. */
  #settle(
    batch: SentBatch,
    answer: BatchOutcome,
    offsets: Map<SentBatch, number>,
  ): TapelineError | undefined {
    const outcome = batch.isInDoubt ? afterDoubt(answer) : answer
    switch (outcome.kind) {
      case 'stored':
        this.#open.delete(batch)
        offsets.set(batch, outcome.baseOffset)
        this.#moveOn(batch)
        return undefined
      case 'in-doubt':
        batch.isInDoubt = true
        return undefined
      case 'refused':
        this.#open.delete(batch)
        return outcome.error
      case 'out-of-sequence':
        this.#isOutOfSequence = true
        return outcome.error
      case 'unknown':
      case 'fenced':
        return outcome.error
    }
  }

  /** The number is used, also where the transaction is aborted: a later batch of the same one would be taken for this. */
  #moveOn(batch: SentBatch): void {
    const key = partitionKey(batch)
    this.#sequences.set(key, ((this.#sequences.get(key) ?? 0) + batch.count) % 2 ** 31)
  }

  async #sendTo(
    leader: number,
    batches: readonly SentBatch[],
    signal: AbortSignal,
  ): Promise<(batch: EncodedBatch) => BatchOutcome> {
    for (const batch of batches) this.#open.add(batch)
    try {
      const answer = await this.#cluster.request(
        'produce',
        leader,
        [batches, this.#id, BROKER_WAIT_MS],
        signal,
      )
      return ({ topic, partition }) => outcomeOf(topic, partition, answer)
    } catch (error) {
      if (signal.aborted) throw abortReason(signal)
      const { message } = brokerError(error, 'the broker did not answer')
      return ({ topic, partition }) => unanswered(`a batch for ${topic}:${partition}`, `(${message})`)
    }
  }

  /** Asks the coordinator, and again after what passes: a coordinator that moved, a transaction that still ends. */
  async #persist(signal: AbortSignal, ask: (coordinator: number) => Promise<number>): Promise<void> {
    for (;;) {
      if (signal.aborted) throw abortReason(signal)
      let code: number
      try {
        const found = await this.#find(signal)
        code = typeof found === 'number' ? await ask(found) : found.errorCode
      } catch (thrown) {
        if (signal.aborted) throw abortReason(signal)
        if (thrown instanceof TransactionError) throw thrown
        const error = brokerError(thrown, `${this.#id} cannot be written under`)
        if (!error.retryable || error.code === 'SHUTTING_DOWN') throw new TransactionError(error)
        this.#coordinator = undefined
        await delay(PAUSE_MS, signal)
        continue
      }
      if (code === 0) return
      if (FENCED.has(code))
        throw new TransactionError(new TapelineError('FENCED', `another process has taken ${this.#id} over`))
      if (code === INVALID_STATE)
        throw new TransactionError(
          new TapelineError('FENCED', `the broker has ended the transaction of ${this.#id}`),
        )
      if (isRefusal(code))
        throw new TransactionError(errorOfCode(code, `${this.#id} cannot be written under`))
      if (code === ABORTABLE)
        throw new TransactionError(
          new TapelineError('BROKER_UNAVAILABLE', `the broker asks to abort the transaction of ${this.#id}`),
        )
      if (NOT_COORDINATOR.has(code)) this.#coordinator = undefined
      await delay(code === CONCURRENT_TRANSACTIONS ? CONCURRENT_PAUSE_MS : PAUSE_MS, signal)
    }
  }

  /** The coordinator, or the code of what the broker answers instead. */
  async #find(signal: AbortSignal): Promise<number | { readonly errorCode: number }> {
    if (this.#coordinator !== undefined) return this.#coordinator
    const { node, errorCode } = await this.#cluster.coordinator('transaction', this.#id, signal)
    if (errorCode !== 0) return { errorCode }
    this.#coordinator = node
    return node
  }
}
