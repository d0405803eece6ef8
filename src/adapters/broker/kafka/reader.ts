import { onAbort, untilDone } from '../../../async/abort.ts'
import { delay, pause, startTimer } from '../../../async/timers.ts'
import { partitionKey } from '../../../domain/record.ts'
import { TapelineError } from '../../../errors.ts'
import type {
  PartitionFetch,
  PollOptions,
  Reader,
  ReadPosition,
  UndecodableBatch,
} from '../../../ports/broker.ts'
import { abortReason } from '../abort-reason.ts'
import { errorOfCode, isRefusal } from './error-table.ts'
import { brokerError } from './errors.ts'
import type { Assigned } from './fetch-lane.ts'
import type { FetchedPartition } from './fetch-request.ts'
import { FetchedBatches } from './fetched-batches.ts'
import { Fetcher } from './fetcher.ts'
import { LeaderEpochs } from './leader-epochs.ts'
import { listOffsets, OFFSET_AT } from './offsets.ts'
import { ReadBuffer } from './read-buffer.ts'
import type { KafkaSettings } from './settings.ts'
import type { TopicView } from './topic-view.ts'
import { requirePlace } from './topic-view.ts'

/** With so much fetched ahead nothing more is fetched. */
const MOST_AHEAD_BYTES = 8 * 1024 * 1024
/** Brokers that do not answer for less are nobody's business: polls only find nothing meanwhile. */
const OUTAGE_MS = 1_000
/** How often a poll that waits looks whether there is an outage. */
const LOOK_MS = 250
const LOOK_AGAIN_MS = 50
/** A topic counts as gone when it was not found for so long: a broker that has just started may not know it yet. */
const GONE_MS = 300
/** A partition that has been in trouble for so long is reported, again and again; one that was in none for this is not. */
const REPORT_TROUBLE_MS = 5_000
const CALM_MS = 2_000
/** Bytes that are damaged so often are so in the log, and not on their way. */
const DAMAGED_TRIES = 3

/** The protocol's codes that are told apart. Source: https://kafka.apache.org/protocol#protocol_error_codes */
const OUT_OF_RANGE = 1

/**
 * Reads from positions of its own, fetching ahead of its caller. Outages are waited for: the reader goes on by itself, and polls
 * reject meanwhile. Which topic it reads is told by the id, so that another one of the same name is not taken for it. It is long, and one file:
 * what becomes of a partition in trouble has to come after what was fetched of it before.
 */
export class KafkaReader implements Reader {
  readonly #fetcher: Fetcher
  readonly #buffer = new ReadBuffer()
  readonly #log: KafkaSettings['log']
  readonly #onClose: (reader: Reader) => void
  /** Partitions in trouble, by error code, and since when their topic is not found. */
  readonly #troubles = new Map<Assigned, number>()
  readonly #missingSince = new WeakMap<Assigned, number>()
  /** Since when a partition has been in trouble or was last reported, and when it was in trouble last (performance.now). */
  readonly #troubled = new WeakMap<Assigned, { since: number; at: number }>()
  /** How often what comes next in a partition has come damaged. */
  readonly #damaged = new WeakMap<Assigned, number>()
  #isRecovering = false
  #failure: { readonly error: TapelineError; readonly since: number } | undefined
  #refusal: TapelineError | undefined
  /** Ends the wait of the poll under way. */
  #tellPoll: () => void = () => undefined
  #closing: Promise<void> | undefined

  constructor(settings: KafkaSettings, view: TopicView, onClose: (reader: Reader) => void) {
    this.#log = settings.log
    this.#onClose = onClose
    this.#fetcher = new Fetcher(settings, view, {
      hasRoom: () => this.#buffer.bytes < MOST_AHEAD_BYTES,
      onFetched: (each, part) => this.#keep(each, part),
      onTrouble: (each, errorCode) => this.#trouble(each, errorCode),
      onDiverged: (each, offset) => {
        this.#move(each, offset)
        this.#fetcher.wake()
      },
      onFailure: (error) => this.#fail(error),
      onAnswer: () => {
        this.#failure = undefined
      },
    })
  }

  async assign(positions: readonly ReadPosition[], signal: AbortSignal): Promise<void> {
    this.#refuse(signal)
    const { cluster } = this.#fetcher
    const names = new Set(positions.map(({ topic }) => topic))
    const unknown = [...names].filter((name) => !cluster.known(name))
    if (unknown.length > 0) await cluster.topics(unknown, signal)
    this.#refuse(signal)
    const added = positions.map((position) => this.#place(position))
    for (const each of added) {
      this.#forget(each)
      this.#fetcher.add(each)
    }
    this.#fetcher.wake()
  }

  async unassign(
    partitions: readonly { readonly topic: string; readonly partition: number }[],
    signal: AbortSignal,
  ): Promise<void> {
    this.#refuse(signal)
    for (const place of partitions) this.#forget(place)
    this.#fetcher.wake()
  }

  async poll({ maxRecords, waitMs }: PollOptions, signal: AbortSignal): Promise<readonly PartitionFetch[]> {
    const end = performance.now() + waitMs
    for (let waits = 0; ; waits++) {
      this.#refuse(signal)
      const fetches = this.#buffer.take(maxRecords)
      if (fetches.length > 0) {
        for (const fetch of fetches) if (fetch.kind === 'undecodable') this.#report(fetch)
        this.#fetcher.wake()
        // What is fetched ahead could be taken for ever without a turn for the network.
        await new Promise(setImmediate)
        return fetches
      }
      const left = end - performance.now()
      // After a wait: a caller that polls again at once must not keep the network from its turn.
      if (waits > 0) this.#raiseFailure()
      if (left <= 0 && waits > 0) return []
      await this.#woken(Math.min(Math.max(0, left), LOOK_MS), signal)
    }
  }

  async close(signal: AbortSignal): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = this.#fetcher.close().finally(() => this.#onClose(this))
      this.#closing.catch(() => undefined)
      this.#tellPoll()
    }
    await untilDone(this.#closing, signal)
  }

  #refuse(signal: AbortSignal): void {
    if (this.#closing !== undefined) throw new TapelineError('SHUTTING_DOWN', 'the reader is closed')
    if (signal.aborted) throw abortReason(signal)
  }

  #raiseFailure(): void {
    const refusal = this.#refusal
    this.#refusal = undefined
    if (refusal !== undefined) throw refusal
    if (this.#failure !== undefined && performance.now() - this.#failure.since >= OUTAGE_MS)
      throw this.#failure.error
  }

  #place({ topic, partition, offset }: ReadPosition): Assigned {
    const state = requirePlace(this.#fetcher.cluster.known(topic), { topic, partition })
    const epochs = new LeaderEpochs()
    return { topic, topicId: state.id, partition, offset, leaderEpoch: -1, epochs, behindSince: undefined }
  }

  #forget(place: { readonly topic: string; readonly partition: number }): void {
    this.#fetcher.remove(place)
    this.#buffer.drop(partitionKey(place), place.topic)
  }

  #keep(each: Assigned, part: FetchedPartition): void {
    const tries = this.#damaged.get(each) ?? 0
    const batches = new FetchedBatches(part, each.offset, tries >= DAMAGED_TRIES)
    const { end } = batches
    if (batches.isCut) this.#damaged.set(each, end === each.offset ? tries + 1 : 1)
    else this.#damaged.delete(each)
    if (end === each.offset) return
    each.offset = end
    this.#missingSince.delete(each)
    const { topic, topicId, partition } = each
    const { bytes, lastStableOffset: endOffset } = part
    this.#buffer.add(partitionKey(each), {
      topic,
      topicId,
      partition,
      batches,
      bytes: bytes.length,
      endOffset,
    })
    this.#tellPoll()
  }

  #fail(error: TapelineError): void {
    if (!error.retryable) this.#refusal = error
    this.#failure = { error, since: this.#failure?.since ?? performance.now() }
    this.#tellPoll()
  }

  #report({ topic, partition, offset, nextOffset, reason }: UndecodableBatch): void {
    this.#log.error(
      { topic, partition, offset, nextOffset, code: 'BATCH_UNDECODABLE', reason },
      'a batch of records cannot be read; reading goes on after it',
    )
  }

  /** Until there is something for the poll, or for so long. Nothing of the wait is left. */
  #woken(withinMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        timer.stop()
        this.#tellPoll = () => undefined
        resolve()
      }
      const timer = startTimer(() => this.#tellPoll(), withinMs)
      const off = onAbort(signal, end)
      this.#tellPoll = () => {
        off()
        end()
      }
    })
  }

  #trouble(each: Assigned, errorCode: number): void {
    this.#troubles.set(each, errorCode)
    if (isRefusal(errorCode)) {
      this.#refusal = errorOfCode(errorCode, `the topic ${each.topic} cannot be read`)
      this.#tellPoll()
    }
    void this.#recover()
  }

  /** Finds out what is wrong with the partitions that cannot be fetched, until none is left. */
  async #recover(): Promise<void> {
    if (this.#isRecovering) return
    this.#isRecovering = true
    while (this.#troubles.size > 0 && !this.#fetcher.closing.aborted) {
      const troubles = [...this.#troubles].filter(([each]) => this.#fetcher.isCurrent(each))
      this.#troubles.clear()
      try {
        await this.#moveIntoLog(troubles.flatMap(([each, code]) => (code === OUT_OF_RANGE ? [each] : [])))
        await this.#findAgain(troubles.filter(([, code]) => code !== OUT_OF_RANGE))
      } catch (thrown) {
        if (this.#fetcher.closing.aborted) break
        for (const [each, code] of troubles) this.#troubles.set(each, code)
        this.#fail(brokerError(thrown, 'reading failed'))
      }
      this.#fetcher.wake()
      if (this.#troubles.size > 0) await pause(LOOK_AGAIN_MS, this.#fetcher.closing)
    }
    this.#isRecovering = false
  }

  /** Retention has passed the position, or the log ends before it: goes on from the first offset, or from the end. */
  async #moveIntoLog(lost: readonly Assigned[]): Promise<void> {
    if (lost.length === 0) return
    const { cluster, closing } = this.#fetcher
    const [earliest, end] = await Promise.all([
      listOffsets(cluster, lost, OFFSET_AT.earliest, closing),
      listOffsets(cluster, lost, OFFSET_AT.end, closing),
    ])
    for (const each of lost) {
      const [first, last] = [earliest.get(partitionKey(each)), end.get(partitionKey(each))]
      this.#fetcher.restore(each)
      if (!this.#fetcher.isCurrent(each) || first === undefined || last === undefined) continue
      const position = each.offset
      // In between meanwhile, as where the leader that was asked knew less than the new one.
      if (position >= first && position <= last) continue
      this.#move(each, position > last ? last : first)
    }
  }

  /** Goes on from another offset, and tells so after what was fetched before. */
  #move(each: Assigned, earliest: number): void {
    const { topic, partition, offset: position } = each
    each.epochs.cut(earliest)
    this.#fetcher.add({ ...each, offset: earliest, behindSince: undefined })
    this.#buffer.tell(partitionKey(each), { kind: 'truncated', topic, partition, position, earliest })
    this.#tellPoll()
  }

  /** Looks where the leaders are, and which topics are gone. */
  async #findAgain(troubles: readonly [Assigned, number][]): Promise<void> {
    if (troubles.length === 0) return
    await delay(LOOK_AGAIN_MS, this.#fetcher.closing)
    const names = new Set(troubles.map(([{ topic }]) => topic))
    const found = await this.#fetcher.cluster.topics([...names])
    for (const [each, code] of troubles) {
      const state = found.get(each.topic)
      if (state?.id === each.topicId) {
        this.#missingSince.delete(each)
        this.#reportTrouble(each, code)
        if ((state.leaders[each.partition] ?? -1) >= 0 && !isRefusal(code)) this.#fetcher.restore(each)
        else this.#troubles.set(each, code)
      } else this.#miss(each, code)
    }
  }

  /** Says once in a while which partition cannot be read, and why: the others go on, and nobody would notice. */
  #reportTrouble(each: Assigned, code: number): void {
    const now = performance.now()
    const known = this.#troubled.get(each)
    const trouble = known !== undefined && now - known.at < CALM_MS ? known : { since: now, at: now }
    this.#troubled.set(each, trouble)
    trouble.at = now
    if (now - trouble.since < REPORT_TROUBLE_MS) return
    trouble.since = now
    const { topic, partition, offset } = each
    const error = code < 0 ? 'it has no leader' : errorOfCode(code, 'fetching failed').message
    this.#log.warn({ topic, partition, offset, reason: error }, 'a partition cannot be read')
  }

  #miss(each: Assigned, code: number): void {
    const since = this.#missingSince.get(each) ?? performance.now()
    this.#missingSince.set(each, since)
    if (performance.now() - since < GONE_MS) {
      this.#troubles.set(each, code)
      return
    }
    const { topic } = each
    const own = this.#fetcher.of(each.topicId)
    for (const gone of own) {
      this.#fetcher.remove(gone)
      this.#troubles.delete(gone)
      this.#missingSince.delete(gone)
    }
    if (own.length > 0) this.#buffer.tellGone(topic)
    this.#tellPoll()
  }
}
