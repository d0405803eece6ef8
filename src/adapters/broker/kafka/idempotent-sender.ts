import { onAbort } from '../../../async/abort.ts'
import { delay, pause, startInterval, type Timer } from '../../../async/timers.ts'
import { TapelineError, toTapelineError } from '../../../errors.ts'
import type { PartitionAck, PartitionRecords } from '../../../ports/broker.ts'
import { abortReason } from '../abort-reason.ts'
import { SendWindow } from '../send-window.ts'
import { Admission } from './admission.ts'
import { Cluster } from './cluster.ts'
import { errorOfCode } from './error-table.ts'
import { brokerError } from './errors.ts'
import { PartitionQueue, type ProducerIdentity } from './partition-queue.ts'
import { PartitionQueues } from './partition-queues.ts'
import { pauseAfter, persist } from './persist.ts'
import { type BatchOutcome, outcomeOf, unanswered } from './produce-outcome.ts'
import type { EncodedBatch } from './produce-request.ts'
import { cut, measure } from './record-sizes.ts'
import { SendCall } from './send-call.ts'
import { BROKER_WAIT_MS, type KafkaSettings } from './settings.ts'
import { requirePlace, type TopicState, type TopicView } from './topic-view.ts'

/** A caller hears of a partition that cannot be written after so long; what may be stored is sent on. */
const REPORT_AFTER_MS = 5_000
const REPORT_EVERY_MS = 500
/** A topic that may hold what is in doubt counts as gone after so long. */
const GONE_AFTER_MS = 3_000
const MAX_REQUEST_BYTES = 4 * 1024 * 1024
/** A broker writes into one partition after the other: with thousands of them nothing would be known for seconds. */
const MOST_PARTITIONS = 1_000
/** How long close waits for what is under way. */
const CLOSE_MS = 2_500

/**
 * Sends records with sequence numbers, so that a request that was lost is stored once, in order: one request under way to each
 * broker, one batch of each partition, and whatever else waits meanwhile goes together in the next.
 *
 * A batch that may be stored is not given up with its caller: as long as that is not known, nothing follows it in its partition.
 * So whoever writes a marker after an unknown outcome knows that all that will ever come of what it sent lies in front of the
 * marker (R8). A partition that cannot be written holds up no other.
 *
 * It is long, and one file: sending, looking for leaders and reporting move the same queues from one set to another.
 */
export class IdempotentSender {
  readonly #cluster: Cluster
  readonly #compression: KafkaSettings['compression']
  readonly #window = new SendWindow()
  readonly #queues = new PartitionQueues()
  /** Those that have something to send, in turns. */
  readonly #ready = new Set<PartitionQueue>()
  readonly #busy = new Set<number>()
  /** By broker: when it last stored something (performance.now). */
  readonly #storedAt = new Map<number, number>()
  /** Those whose leader is to be looked for. */
  readonly #lost = new Set<PartitionQueue>()
  readonly #closing = new AbortController()
  readonly #admission: Admission
  #identity: ProducerIdentity | undefined
  #isPumpDue = false
  #isIdentifying = false
  #isLooking = false
  #calls = 0
  #reporting: Timer | undefined
  #idle = Promise.withResolvers<void>()

  constructor(settings: KafkaSettings, view: TopicView) {
    this.#cluster = new Cluster(settings, view)
    this.#admission = new Admission(this.#cluster, this.#closing.signal)
    this.#compression = settings.compression
  }

  /** Raises what `Broker.publish` does. */
  async send(entries: readonly PartitionRecords[], signal: AbortSignal): Promise<readonly PartitionAck[]> {
    if (signal.aborted) throw abortReason(signal)
    if (this.#closing.signal.aborted) throw closed()
    const bytes = measure(entries)
    this.#calls++
    this.#reporting ??= startInterval(() => this.#report(), REPORT_EVERY_MS)
    try {
      const admission = this.#window.enter(bytes, signal)
      if (admission !== undefined) await admission
      try {
        return await this.#sendAdmitted(entries, signal)
      } finally {
        this.#window.leave(bytes)
      }
    } finally {
      this.#calls--
      if (this.#calls === 0) this.#rest()
    }
  }

  /** Waits for what is under way for a while, then ends it. */
  async close(): Promise<void> {
    if (this.#calls > 0) {
      await Promise.race([this.#idle.promise, pause(CLOSE_MS, this.#closing.signal)])
    }
    this.#closing.abort()
    for (const queue of this.#queues.values()) queue.abandon(closed)
    this.#rest()
    await this.#cluster.close()
  }

  #rest(): void {
    this.#reporting?.stop()
    this.#reporting = undefined
    this.#idle.resolve()
    this.#idle = Promise.withResolvers()
  }

  async #sendAdmitted(
    entries: readonly PartitionRecords[],
    signal: AbortSignal,
  ): Promise<readonly PartitionAck[]> {
    const admission = this.#admission.enter(entries, signal)
    if (admission !== undefined) await admission
    const call = this.#enqueue(entries)
    const off = onAbort(signal, () => call.fail(abortReason(signal)))
    try {
      return await call.result
    } finally {
      off()
    }
  }

  #enqueue(entries: readonly PartitionRecords[]): SendCall {
    for (const entry of entries) requirePlace(this.#cluster.known(entry.topic), entry)
    const pieces = entries.map(({ records }) => cut(records))
    const call = new SendCall(entries, pieces.flat().length)
    const now = performance.now()
    for (const [entry, { topic, partition }] of entries.entries()) {
      const queue = this.#queue(topic, partition)
      for (const piece of pieces[entry] ?? []) queue.add({ call, entry, ...piece }, now)
      if (queue.failures === 0 && !queue.isSending) this.#ready.add(queue)
    }
    this.#pumpSoon()
    return call
  }

  #queue(topic: string, partition: number): PartitionQueue {
    const known = this.#queues.get({ topic, partition })
    const { id } = requirePlace(this.#cluster.known(topic), { topic, partition })
    if (known !== undefined && (known.topicId === id || !known.isIdle)) return known
    if (this.#queues.forgetUnused()) this.#identity = undefined
    const queue = new PartitionQueue({ topic, partition, topicId: id }, this.#compression)
    this.#queues.set(queue)
    return queue
  }

  /** After this turn, so that calls made together go together. */
  #pumpSoon(): void {
    if (this.#isPumpDue) return
    this.#isPumpDue = true
    queueMicrotask(() => {
      this.#isPumpDue = false
      this.#pump()
    })
  }

  #pump(): void {
    if (this.#closing.signal.aborted || this.#ready.size === 0) return
    const identity = this.#identity
    if (identity === undefined) {
      void this.#identify()
      return
    }
    const requests = new Map<number, { readonly batches: [PartitionQueue, Buffer][]; bytes: number }>()
    for (const queue of this.#ready) {
      const leader = this.#cluster.known(queue.topic)?.leaders[queue.partition] ?? -1
      if (leader !== -1 && this.#busy.has(leader)) continue
      const request = requests.get(leader) ?? { batches: [], bytes: 0 }
      if (request.bytes >= MAX_REQUEST_BYTES || request.batches.length >= MOST_PARTITIONS) continue
      this.#ready.delete(queue)
      if (leader === -1) {
        queue.failures++
        this.#lookLater(queue)
        continue
      }
      const bytes = this.#seal(queue, identity)
      if (bytes === undefined) continue
      queue.isSending = true
      request.batches.push([queue, bytes])
      request.bytes += bytes.length
      requests.set(leader, request)
    }
    for (const [leader, { batches }] of requests) void this.#sendTo(leader, batches)
  }

  /** Records that cannot be encoded are their callers' alone. */
  #seal(queue: PartitionQueue, identity: ProducerIdentity): Buffer | undefined {
    try {
      return queue.seal(identity)
    } catch (error) {
      queue.abandon(() => toTapelineError(error))
      return undefined
    }
  }

  async #sendTo(leader: number, batches: readonly [PartitionQueue, Buffer][]): Promise<void> {
    this.#busy.add(leader)
    const outcomes = await this.#request(leader, batches)
    this.#busy.delete(leader)
    const now = performance.now()
    for (const [queue] of batches) {
      const outcome = outcomes(queue)
      if (queue.settle(outcome, now)) this.#identity = undefined
      if (queue.failures > 0) this.#lookLater(queue)
      else {
        this.#storedAt.set(leader, now)
        if (!queue.isIdle) this.#ready.add(queue)
      }
    }
    this.#pump()
  }

  async #request(
    leader: number,
    batches: readonly [PartitionQueue, Buffer][],
  ): Promise<(queue: PartitionQueue) => BatchOutcome> {
    const encoded = batches.map(
      ([{ topic, partition }, bytes]): EncodedBatch => ({ topic, partition, bytes }),
    )
    try {
      const answer = await this.#cluster.request('produce', leader, [encoded, null, BROKER_WAIT_MS])
      return ({ topic, partition }) => outcomeOf(topic, partition, answer)
    } catch (error) {
      const { message } = brokerError(error, 'the broker did not answer')
      return ({ topic, partition }) => unanswered(`a batch for ${topic}:${partition}`, `(${message})`)
    }
  }

  /** Looks for the leader after a pause that grows with each failure. */
  #lookLater(queue: PartitionQueue): void {
    const { signal } = this.#closing
    delay(pauseAfter(queue.failures), signal).then(
      () => {
        this.#lost.add(queue)
        void this.#look()
      },
      () => undefined,
    )
  }

  /** Asks where the leaders are, for all that have lost theirs together. */
  async #look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    while (this.#lost.size > 0 && !this.#closing.signal.aborted) {
      const queues = [...this.#lost]
      this.#lost.clear()
      try {
        const found = await this.#cluster.topics([...new Set(queues.map(({ topic }) => topic))])
        for (const queue of queues) this.#resume(queue, found.get(queue.topic))
      } catch {
        for (const queue of queues) {
          queue.failures++
          this.#lookLater(queue)
        }
      }
    }
    this.#isLooking = false
    this.#pump()
  }

  #resume(queue: PartitionQueue, found: TopicState | undefined): void {
    const now = performance.now()
    const { looks, since } = queue.absence ?? { looks: 0, since: now }
    queue.absence = found === undefined ? { looks: looks + 1, since } : undefined
    // A broker may not show a topic for a moment: that ends nothing that may be stored.
    const isGone = looks > 0 && (!queue.isInDoubt || now - since >= GONE_AFTER_MS)
    if (found === undefined ? isGone : found.id !== queue.topicId) {
      // Were it there all the same, its next batch must not have the number of one that is in doubt.
      if (queue.isInDoubt) this.#identity = undefined
      queue.abandon((call) => goneError(queue, call))
      this.#queues.delete(queue)
      return
    }
    queue.dropAbandoned()
    if (queue.isIdle) queue.failures = 0
    else if (found !== undefined) this.#ready.add(queue)
    else this.#lookLater(queue)
  }

  async #identify(): Promise<void> {
    if (this.#isIdentifying) return
    this.#isIdentifying = true
    try {
      const { signal: closing } = this.#closing
      const answer = await persist(
        async () => {
          const given = await this.#cluster.request('initProducerId', 'any', [null, BROKER_WAIT_MS, -1n, -1])
          if (given.errorCode === 0) return given
          throw errorOfCode(given.errorCode, 'no producer id was given')
        },
        { signal: closing, closing },
      )
      this.#identity = { id: answer.producerId, epoch: answer.producerEpoch }
    } catch (error) {
      for (const queue of this.#ready) queue.abandon(() => error)
      this.#ready.clear()
    }
    this.#isIdentifying = false
    this.#pump()
  }

  /** Tells the callers of partitions that have not been written for too long. */
  #report(): void {
    const now = performance.now()
    for (const queue of this.#queues.values()) {
      if (queue.isIdle || now - this.#progressOf(queue) < REPORT_AFTER_MS) continue
      const message = `nothing could be written to ${queue.topic}:${queue.partition} for ${REPORT_AFTER_MS / 1000} s`
      const error = new TapelineError('BROKER_UNAVAILABLE', message, { partitions: [placeOf(queue)] })
      for (const call of queue.calls) if (!call.settled) call.fail(error)
      queue.dropAbandoned()
    }
  }

  /** When something was last done for a partition: one whose turn has not come waits for others that are written. */
  #progressOf(queue: PartitionQueue): number {
    if (!this.#ready.has(queue)) return queue.progressAt
    const leader = this.#cluster.known(queue.topic)?.leaders[queue.partition] ?? -1
    return Math.max(queue.progressAt, this.#storedAt.get(leader) ?? 0)
  }
}

/** Of a call for several partitions others may have been stored: then it is only known that this one has failed. */
function goneError(queue: PartitionQueue, { entries }: SendCall): TapelineError {
  const message = `the topic ${queue.topic} is gone`
  return entries.length === 1
    ? new TapelineError('TOPIC_UNKNOWN', message)
    : new TapelineError('BROKER_UNAVAILABLE', message, { partitions: [placeOf(queue)] })
}

function placeOf({ topic, partition }: PartitionQueue): { topic: string; partition: number } {
  return { topic, partition }
}

function closed(): TapelineError {
  return new TapelineError('SHUTTING_DOWN', 'the broker client is closed')
}
