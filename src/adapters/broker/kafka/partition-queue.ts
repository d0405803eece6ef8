import type { TapelineError } from '../../../errors.ts'
import type { OutgoingRecord } from '../../../ports/broker.ts'
import { afterDoubt, type BatchOutcome } from './produce-outcome.ts'
import { encodeBatch } from './record-encoder.ts'
import { cut, MAX_BATCH_BYTES, tooLarge } from './record-sizes.ts'
import type { SendCall } from './send-call.ts'
import type { KafkaSettings } from './settings.ts'

/** A producer id: sequence numbers count for each partition from 0 under it. */
export interface ProducerIdentity {
  readonly id: bigint
  readonly epoch: number
}

/** What one batch takes of an entry of a call. */
export interface Share {
  readonly call: SendCall
  /** Which entry of the call. */
  readonly entry: number
  readonly records: readonly OutgoingRecord[]
  readonly bytes: number
}

interface Sealed {
  readonly shares: readonly Share[]
  readonly count: number
  readonly bytes: Buffer
  /** It may be stored: only the same bytes may be sent until that is known. */
  isInDoubt: boolean
}

/** How long a topic counts as one that takes smaller batches only; then a large one is tried again. */
const SMALL_MS = 600_000

/** 31 bits, then from 0 again. Source: https://kafka.apache.org/documentation/#recordbatch */
const SEQUENCES = 2 ** 31

/**
 * What waits for one partition, in order. At most one batch is under way; until its outcome is known, nothing follows it, and
 * it is sent again with the same producer id and sequence number, so that the broker stores it once.
 */
export class PartitionQueue {
  readonly topic: string
  readonly partition: number
  /** The topic that the records are for: another one of its name is not. */
  readonly topicId: string
  readonly #compression: KafkaSettings['compression']
  readonly #waiting: Share[] = []
  #sealed: Sealed | undefined
  #identity: ProducerIdentity | undefined
  #sequence = 0
  /** The next batch has one share only: the batch before was refused for one of its shares. */
  #alone = 0
  /** What one batch may take: less once the broker has refused one as too large. */
  #mostBytes = MAX_BATCH_BYTES
  #smallSince = Number.NEGATIVE_INFINITY
  /** When something was last stored, or began to wait (performance.now). */
  progressAt = 0
  /** How often in a row the batch under way was not stored. */
  failures = 0
  /** Looks in a row that did not show the topic, and when the first one was (performance.now). */
  absence: { readonly looks: number; readonly since: number } | undefined
  isSending = false

  constructor(
    place: { readonly topic: string; readonly partition: number; readonly topicId: string },
    compression: KafkaSettings['compression'],
  ) {
    this.topic = place.topic
    this.partition = place.partition
    this.topicId = place.topicId
    this.#compression = compression
  }

  get isIdle(): boolean {
    return this.#sealed === undefined && this.#waiting.length === 0
  }

  /** Something may be stored, and it is not known. */
  get isInDoubt(): boolean {
    return this.isSending || (this.#sealed?.isInDoubt ?? false)
  }

  /** The calls that wait for this partition. */
  get calls(): SendCall[] {
    const shares = [...(this.#sealed?.shares ?? []), ...this.#waiting]
    return [...new Set(shares.map(({ call }) => call))]
  }

  add(share: Share, now: number): void {
    if (this.isIdle) this.progressAt = now
    this.#waiting.push(share)
  }

  /** Drops what its callers have given up and what surely is not stored; they will not hear of it. */
  dropAbandoned(): void {
    this.#unseal()
    const kept = this.#waiting.filter(({ call }) => !call.settled)
    this.#waiting.splice(0, this.#waiting.length, ...kept)
  }

  /** The bytes to send; the same ones as before while the outcome is not known. Undefined where nothing waits. */
  seal(current: ProducerIdentity): Buffer | undefined {
    if (this.#sealed !== undefined) return this.#sealed.bytes
    this.dropAbandoned()
    const shares = this.#takeShares()
    if (shares.length === 0) return undefined
    if (this.#identity !== current) {
      this.#identity = current
      this.#sequence = 0
    }
    const records =
      shares.length === 1 ? (shares[0]?.records ?? []) : shares.flatMap(({ records: own }) => own)
    const identity = {
      producerId: current.id,
      producerEpoch: current.epoch,
      sequence: this.#sequence,
      transactional: false,
    }
    try {
      const bytes = encodeBatch(records, identity, this.#compression)
      this.#sealed = { shares, count: records.length, bytes, isInDoubt: false }
      return bytes
    } catch (error) {
      this.#waiting.unshift(...shares)
      throw error
    }
  }

  /** What has become of the batch. True where a new producer id is needed before the next one. */
  settle(answer: BatchOutcome, now: number): boolean {
    const sealed = this.#sealed
    this.isSending = false
    if (sealed === undefined) return false
    const outcome = sealed.isInDoubt ? afterDoubt(answer) : answer
    switch (outcome.kind) {
      case 'stored':
        this.#stored(sealed, outcome.baseOffset, now)
        return false
      case 'in-doubt':
        this.failures++
        sealed.isInDoubt = true
        return false
      case 'refused':
        this.#refuse(sealed, outcome.error, now)
        return false
      case 'out-of-sequence':
        sealed.isInDoubt = false
        this.failures++
        return true
      case 'fenced':
      case 'unknown':
        this.#end(sealed, outcome.error)
        return true
    }
  }

  /** Gives everything up that waits: the topic is gone, or nothing can be sent any more. */
  abandon(errorFor: (call: SendCall) => unknown): void {
    const shares = [...(this.#sealed?.shares ?? []), ...this.#waiting.splice(0)]
    this.#sealed = undefined
    for (const { call } of shares) if (!call.settled) call.fail(errorFor(call))
  }

  #stored(sealed: Sealed, baseOffset: number, now: number): void {
    this.#sealed = undefined
    this.#sequence = (this.#sequence + sealed.count) % SEQUENCES
    this.#alone = Math.max(0, this.#alone - 1)
    this.failures = 0
    this.absence = undefined
    this.progressAt = now
    if (now - this.#smallSince > SMALL_MS) this.#mostBytes = MAX_BATCH_BYTES
    let offset = baseOffset
    for (const { call, entry, records } of sealed.shares) {
      call.stored(entry, offset, records.length)
      offset += records.length
    }
  }

  /** Nothing was stored. Of several shares it may be the fault of one: then each goes alone. A batch that is too large goes in halves. */
  #refuse(sealed: Sealed, error: TapelineError, now: number): void {
    this.#sealed = undefined
    this.failures = 0
    const isTooLarge = error.code === 'RECORD_TOO_LARGE'
    if (isTooLarge && sealed.count > 1) {
      const bytes = sealed.shares.reduce((sum, share) => sum + share.bytes, 0)
      this.#mostBytes = Math.ceil(bytes / 2)
      this.#smallSince = now
      this.#waiting.unshift(...sealed.shares)
      return
    }
    const [share, ...others] = sealed.shares
    if (others.length > 0) {
      this.#alone = sealed.shares.length
      this.#waiting.unshift(...sealed.shares)
      return
    }
    this.#alone = Math.max(0, this.#alone - 1)
    const [record] = share?.records ?? []
    const reason = isTooLarge && record !== undefined ? tooLarge(this, record, error.message) : error
    if (share?.call.settled === false) share.call.fail(reason)
  }

  #end(sealed: Sealed, error: unknown): void {
    this.#sealed = undefined
    this.failures = 0
    for (const { call } of sealed.shares) if (!call.settled) call.fail(error)
  }

  /** A batch that surely is not stored can be put together anew. */
  #unseal(): void {
    if (this.#sealed === undefined || this.#sealed.isInDoubt || this.isSending) return
    this.#waiting.unshift(...this.#sealed.shares)
    this.#sealed = undefined
  }

  #takeShares(): Share[] {
    const [first] = this.#waiting
    if (first !== undefined && first.bytes > this.#mostBytes) this.#divide(first)
    let count = 0
    let bytes = 0
    for (const share of this.#waiting) {
      if (count > 0 && (this.#alone > 0 || bytes + share.bytes > this.#mostBytes)) break
      bytes += share.bytes
      count++
    }
    return this.#waiting.splice(0, count)
  }

  #divide(share: Share): void {
    const pieces = cut(share.records, this.#mostBytes).map((piece): Share => ({ ...share, ...piece }))
    share.call.divide(pieces.length)
    this.#waiting.splice(0, 1, ...pieces)
  }
}
