import { setTimeout as delay } from 'node:timers/promises'
import { NumericMap } from '@platformatic/kafka'
import { TapelineError } from '../../../errors.ts'
import type { PartitionAck, PartitionRecords } from '../../../ports/broker.ts'
import { Cluster } from './cluster.ts'
import { brokerError } from './errors.ts'
import { toMessages } from './messages.ts'
import { outcomeOf } from './produce-outcome.ts'
import { measure } from './record-sizes.ts'
import { type Batch, type BatchOutcome, jobError, SendJob } from './send-job.ts'
import { type KafkaSettings, REQUEST_MS } from './settings.ts'

/** What waits to be sent is bounded: beyond this a call is refused. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024
/** A caller hears of a broker that cannot be reached after so long; the send goes on. */
const REPORT_AFTER_MS = 5_000
const FIRST_PAUSE_MS = 20
const LONGEST_PAUSE_MS = 500

interface ProducerIdentity {
  readonly id: bigint
  readonly epoch: number
}

/**
 * Sends records with sequence numbers, one call at a time: a request that was lost is sent again under the same numbers, so
 * that the broker stores it once, in order.
 *
 * A call that its caller has given up is not given up here: as long as it may still land, nothing is sent after it. So
 * whoever writes a marker after an unknown outcome knows that everything in front of the marker is all that will ever come
 * (R8).
 */
export class IdempotentSender {
  readonly #cluster: Cluster
  readonly #settings: KafkaSettings
  readonly #closing = new AbortController()
  readonly #waiting: SendJob[] = []
  #waitingBytes = 0
  #running: Promise<void> | undefined
  #identity: ProducerIdentity | undefined
  readonly #sequences = new Map<string, number>()

  constructor(settings: KafkaSettings) {
    this.#settings = settings
    this.#cluster = new Cluster(settings)
  }

  async send(entries: readonly PartitionRecords[], signal: AbortSignal): Promise<readonly PartitionAck[]> {
    signal.throwIfAborted()
    if (this.#closing.signal.aborted) throw closed()
    const job = new SendJob(entries, measure(entries))
    if (this.#waitingBytes > 0 && this.#waitingBytes + job.bytes > MAX_WAITING_BYTES)
      throw new TapelineError('BROKER_UNAVAILABLE', 'too much waits to be sent to the broker')
    this.#waiting.push(job)
    this.#waitingBytes += job.bytes
    const onAbort = (): void => job.fail(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    this.#running ??= this.#run()
    try {
      return await job.result
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Waits for what is under way as long as a request may take, then ends it. */
  async close(): Promise<void> {
    const late = setTimeout(() => this.#closing.abort(), REQUEST_MS / 4)
    await this.#running
    clearTimeout(late)
    this.#closing.abort()
    await this.#cluster.close()
  }

  async #run(): Promise<void> {
    for (let job = this.#waiting[0]; job !== undefined; job = this.#waiting[0]) {
      try {
        if (!job.settled) await this.#perform(job)
      } catch (error) {
        job.fail(this.#closing.signal.aborted ? closed() : error)
      }
      this.#waiting.shift()
      this.#waitingBytes -= job.bytes
    }
    this.#running = undefined
  }

  async #perform(job: SendJob): Promise<void> {
    await this.#checkTopics(job)
    let anyStored = false
    for (const round of job.rounds()) {
      const failures: { batch: Batch; error: TapelineError }[] = []
      for (const [batch, outcome] of await this.#sendRound(job, round)) {
        if (outcome.kind === 'failed') failures.push({ batch, error: outcome.error })
        else if (outcome.kind === 'stored') {
          anyStored = true
          if (!job.stored(batch, outcome.baseOffset)) failures.push({ batch, error: interrupted(batch) })
        }
      }
      if (failures.length > 0) throw jobError(failures, anyStored)
      if (job.settled) return
    }
    job.succeed()
  }

  /** Refuses a job before anything is written. Raises TOPIC_UNKNOWN. */
  async #checkTopics(job: SendJob): Promise<void> {
    const names = new Set(job.entries.map(({ topic }) => topic))
    const unknown = [...names].filter((name) => this.#cluster.known(name) === undefined)
    if (unknown.length > 0) await this.#refresh(job, unknown)
    for (const { topic, partition } of job.entries) {
      const state = this.#cluster.known(topic)
      if (state === undefined) throw new TapelineError('TOPIC_UNKNOWN', `there is no topic ${topic}`)
      if (partition >= state.leaders.length)
        throw new TapelineError('TOPIC_UNKNOWN', `the topic ${topic} has no partition ${partition}`)
    }
  }

  async #refresh(job: SendJob, names: readonly string[]): Promise<void> {
    await this.#persist(job, () => this.#cluster.topics(names))
  }

  /** Sends batches until each is stored or has failed. */
  async #sendRound(job: SendJob, round: readonly Batch[]): Promise<Map<Batch, BatchOutcome>> {
    const outcomes = new Map<Batch, BatchOutcome>()
    let pending = round
    const patience = new Patience(job, this.#closing.signal)
    const absent = new Map<string, number>()
    while (pending.length > 0) {
      const identity = await this.#identify(job)
      const sent = await this.#sendOnce(pending, identity)
      for (const [batch, outcome] of sent) this.#note(batch, outcome)
      for (const [batch, outcome] of sent) if (outcome.kind !== 'again') outcomes.set(batch, outcome)
      pending = pending.filter((batch) => !outcomes.has(batch))
      if (pending.length === 0) break
      const again = [...sent.values()].find((outcome) => outcome.kind === 'again')
      await patience.wait(again?.error)
      await this.#lookAgain(job, pending, absent, outcomes)
      pending = pending.filter((batch) => !outcomes.has(batch))
    }
    return outcomes
  }

  /** Looks where the leaders are now. A topic that is found missing twice is gone. */
  async #lookAgain(
    job: SendJob,
    pending: readonly Batch[],
    absent: Map<string, number>,
    outcomes: Map<Batch, BatchOutcome>,
  ): Promise<void> {
    const names = [...new Set(pending.map(({ topic }) => topic))]
    const found = await this.#persist(job, () => this.#cluster.topics(names))
    for (const batch of pending) {
      if (found.has(batch.topic)) continue
      const times = (absent.get(batch.topic) ?? 0) + 1
      absent.set(batch.topic, times)
      const error = new TapelineError('TOPIC_UNKNOWN', `the topic ${batch.topic} is gone`)
      if (times > 1) outcomes.set(batch, { kind: 'failed', error })
    }
  }

  async #sendOnce(pending: readonly Batch[], identity: ProducerIdentity): Promise<Map<Batch, BatchOutcome>> {
    const byLeader = Map.groupBy(
      pending,
      ({ topic, partition }) => this.#cluster.known(topic)?.leaders[partition] ?? -1,
    )
    const outcomes = new Map<Batch, BatchOutcome>()
    await Promise.all(
      [...byLeader].map(async ([leader, batches]) => {
        for (const [batch, outcome] of await this.#sendTo(leader, batches, identity))
          outcomes.set(batch, outcome)
      }),
    )
    return outcomes
  }

  async #sendTo(
    leader: number,
    batches: readonly Batch[],
    identity: ProducerIdentity,
  ): Promise<[Batch, BatchOutcome][]> {
    const again = (error: TapelineError): [Batch, BatchOutcome][] =>
      batches.map((batch) => [batch, { kind: 'again', error }])
    if (leader === -1) return again(new TapelineError('BROKER_UNAVAILABLE', 'a partition has no leader'))
    const sequences = new NumericMap()
    for (const batch of batches) sequences.set(keyOf(batch), this.#sequences.get(keyOf(batch)) ?? 0)
    const options = {
      compression: this.#settings.compression,
      producerId: identity.id,
      producerEpoch: identity.epoch,
      sequences,
    }
    try {
      const answer = await this.#cluster.request('produce', leader, [
        -1,
        REQUEST_MS,
        batches.flatMap(toMessages),
        options,
      ])
      if (typeof answer === 'boolean') return again(new TapelineError('BROKER_UNAVAILABLE', 'no answer'))
      return batches.map((batch) => [batch, outcomeOf(batch, answer)])
    } catch (error) {
      return again(brokerError(error, 'the broker did not answer'))
    }
  }

  /** Moves the sequence on, or begins a new one where the broker has lost the thread. */
  #note(batch: Batch, outcome: BatchOutcome): void {
    const key = keyOf(batch)
    if (outcome.kind === 'stored') {
      // 31 bits, then from 0 again. Source: https://kafka.apache.org/documentation/#recordbatch
      this.#sequences.set(key, ((this.#sequences.get(key) ?? 0) + batch.records.length) % 2 ** 31)
    } else if (outcome.kind === 'failed') {
      this.#identity = undefined
      this.#sequences.clear()
    }
  }

  async #identify(job: SendJob): Promise<ProducerIdentity> {
    this.#identity ??= await this.#persist(job, async () => {
      const answer = await this.#cluster.request('initProducerId', undefined, [null, REQUEST_MS, -1n, -1])
      if (answer.errorCode !== 0)
        throw new TapelineError('BROKER_UNAVAILABLE', `no producer id was given (error ${answer.errorCode})`)
      return { id: answer.producerId, epoch: answer.producerEpoch }
    })
    return this.#identity
  }

  /** Repeats a question that changes nothing until it is answered; what no repeating cures is raised. */
  async #persist<T>(job: SendJob, ask: () => Promise<T>): Promise<T> {
    const patience = new Patience(job, this.#closing.signal)
    for (;;) {
      try {
        return await ask()
      } catch (thrown) {
        const error = brokerError(thrown, 'the broker did not answer')
        if (!error.retryable) throw error
        if (job.settled) throw error
        await patience.wait(error)
      }
    }
  }
}

/** Pauses between attempts, growing; tells the caller when it has taken long. */
class Patience {
  readonly #job: SendJob
  readonly #closing: AbortSignal
  readonly #since = performance.now()
  #pauseMs = FIRST_PAUSE_MS

  constructor(job: SendJob, closing: AbortSignal) {
    this.#job = job
    this.#closing = closing
  }

  async wait(error: TapelineError | undefined): Promise<void> {
    if (!this.#job.settled && performance.now() - this.#since > REPORT_AFTER_MS)
      this.#job.fail(error ?? new TapelineError('BROKER_UNAVAILABLE', 'the broker does not answer'))
    await delay(this.#pauseMs, undefined, { signal: this.#closing })
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 2)
  }
}

function keyOf({ topic, partition }: Batch): string {
  return `${topic}:${partition}`
}

function interrupted({ topic, partition }: Batch): TapelineError {
  return new TapelineError(
    'BROKER_UNAVAILABLE',
    `another writer came between the batches for ${topic}:${partition}`,
  )
}

function closed(): TapelineError {
  return new TapelineError('SHUTTING_DOWN', 'the broker client is closed')
}
