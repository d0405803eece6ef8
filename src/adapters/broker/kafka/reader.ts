import { setTimeout as delay } from 'node:timers/promises'
import { type ErrorCode, isAbort, TapelineError } from '../../../errors.ts'
import type { PartitionFetch, PollOptions, Reader, ReadPosition } from '../../../ports/broker.ts'
import { Cluster } from './cluster.ts'
import { brokerError } from './errors.ts'
import { readFetched } from './fetched-records.ts'
import { listOffsets, OFFSET_AT } from './offsets.ts'
import { FETCH_BY_ID } from './protocol.ts'
import { ReadBuffer } from './read-buffer.ts'
import type { KafkaSettings } from './settings.ts'

/** How long a broker holds a fetch that finds nothing; a partition that is added waits so long at most. */
const FETCH_WAIT_MS = 100
const MAX_FETCH_BYTES = 8 * 1024 * 1024
const MAX_PARTITION_BYTES = 1024 * 1024
/** With so much fetched ahead only partitions of which nothing waits are fetched, so that none starves ... */
const AHEAD_RECORDS = 20_000
/** ... and with so much none. */
const MOST_AHEAD_RECORDS = 100_000
const RETRY_MS = 100
/** Records that are there and do not come for so long: the connections have stalled. */
const STALLED_MS = 15_000
const READ_COMMITTED = 1
/** A topic counts as gone when it was not found twice, so long apart: a broker that has just started may not know it yet. */
const GONE_MS = 500

/** The protocol's codes of a partition that are told apart. Source: https://kafka.apache.org/protocol#protocol_error_codes */
const CODE = {
  outOfRange: 1,
  unknownTopic: 3,
  forbidden: 29,
  unknownTopicId: 100,
  otherTopicId: 103,
} as const

interface Assigned {
  readonly key: string
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  /** The next offset to fetch. */
  next: number
  /** Since when nothing came although there was something. */
  stalledSince: number | undefined
  /** When the topic was first not found. */
  goneSince: number | undefined
}

type Answer = Awaited<ReturnType<typeof Cluster.prototype.request<'fetch'>>>
type PartitionAnswer = Answer['responses'][number]['partitions'][number]

/**
 * Reads by fetch requests of its own: no group, positions of its own, one request under way to each broker, each complete in
 * itself (without a fetch session, which two readers on one connection would break). It fetches ahead of its caller.
 */
export class KafkaReader implements Reader {
  readonly #cluster: Cluster
  readonly #log: KafkaSettings['log']
  readonly #buffer = new ReadBuffer()
  readonly #assigned = new Map<string, Assigned>()
  readonly #fetching = new Set<number>()
  readonly #closing = new AbortController()
  readonly #onClose: (reader: Reader) => void
  #failure: TapelineError | undefined
  #wake = Promise.withResolvers<void>()

  constructor(settings: KafkaSettings, onClose: (reader: Reader) => void) {
    this.#cluster = new Cluster(settings)
    this.#log = settings.log
    this.#onClose = onClose
  }

  async assign(positions: readonly ReadPosition[]): Promise<void> {
    this.#refuseClosed()
    const unknown = [...new Set(positions.map(({ topic }) => topic))].filter(
      (name) => !this.#cluster.known(name),
    )
    if (unknown.length > 0) await this.#cluster.topics(unknown)
    const added = positions.map((position) => this.#place(position))
    for (const each of added) {
      this.#buffer.drop(each.key)
      this.#assigned.set(each.key, each)
    }
    this.#fetchAhead()
  }

  async unassign(
    partitions: readonly { readonly topic: string; readonly partition: number }[],
  ): Promise<void> {
    this.#refuseClosed()
    for (const { topic, partition } of partitions) this.#remove(`${topic}:${partition}`)
  }

  async poll({ maxRecords, waitMs }: PollOptions, signal: AbortSignal): Promise<readonly PartitionFetch[]> {
    const end = performance.now() + waitMs
    for (;;) {
      this.#refuseClosed()
      signal.throwIfAborted()
      const fetches = this.#buffer.take(maxRecords)
      this.#fetchAhead()
      if (fetches.length > 0) {
        // What is fetched ahead could be taken for ever without a turn for the network.
        await new Promise(setImmediate)
        return fetches
      }
      const failure = this.#failure
      this.#failure = undefined
      if (failure !== undefined) throw failure
      const left = end - performance.now()
      if (left <= 0) return []
      await this.#woken(left, signal)
    }
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort()
    this.#wake.resolve()
    await this.#cluster.close()
    this.#onClose(this)
  }

  #refuseClosed(): void {
    if (this.#closing.signal.aborted) throw new TapelineError('SHUTTING_DOWN', 'the reader is closed')
  }

  #place({ topic, partition, offset }: ReadPosition): Assigned {
    const state = this.#cluster.known(topic)
    if (state === undefined || partition >= state.leaders.length)
      throw new TapelineError('TOPIC_UNKNOWN', `there is no topic ${topic} with a partition ${partition}`)
    const key = `${topic}:${partition}`
    return {
      key,
      topic,
      topicId: state.id,
      partition,
      next: offset,
      stalledSince: undefined,
      goneSince: undefined,
    }
  }

  #remove(key: string): void {
    this.#assigned.delete(key)
    this.#buffer.drop(key)
  }

  async #woken(withinMs: number, signal: AbortSignal): Promise<void> {
    const timer = new AbortController()
    const late = delay(withinMs, undefined, { signal: AbortSignal.any([signal, timer.signal]) })
    try {
      await Promise.race([this.#wake.promise, late.catch((error: unknown) => error)])
    } finally {
      timer.abort()
    }
  }

  #tellPoll(): void {
    this.#wake.resolve()
    this.#wake = Promise.withResolvers()
  }

  /** Keeps a fetch under way to every broker that leads something, unless enough is fetched ahead. */
  #fetchAhead(): void {
    if (this.#closing.signal.aborted || this.#buffer.records >= MOST_AHEAD_RECORDS) return
    const isAhead = this.#buffer.records >= AHEAD_RECORDS
    const wanted = [...this.#assigned.values()].filter(({ key }) => !isAhead || !this.#buffer.holds(key))
    for (const [leader, partitions] of Map.groupBy(wanted, (each) => this.#leaderOf(each))) {
      if (this.#fetching.has(leader)) continue
      this.#fetching.add(leader)
      this.#fetch(leader, partitions)
        .catch((error: unknown) => this.#fail(error))
        .finally(() => {
          this.#fetching.delete(leader)
          this.#fetchAhead()
        })
    }
  }

  #leaderOf({ topic, partition }: Assigned): number {
    return this.#cluster.known(topic)?.leaders[partition] ?? -1
  }

  async #fail(thrown: unknown): Promise<void> {
    if (this.#closing.signal.aborted || isAbort(thrown)) return
    this.#failure = brokerError(thrown, 'reading failed')
    this.#tellPoll()
    await this.#pause()
    // Whoever led may not lead any more.
    await this.#lookForLeaders([...this.#assigned.values()]).catch((error: unknown) => {
      this.#failure = brokerError(error, 'reading failed')
    })
  }

  async #pause(): Promise<void> {
    await delay(RETRY_MS, undefined, { signal: this.#closing.signal }).catch(() => undefined)
  }

  async #fetch(leader: number, partitions: readonly Assigned[]): Promise<void> {
    if (leader === -1) {
      await this.#pause()
      await this.#lookForLeaders(partitions)
      return
    }
    const byId = (await this.#cluster.version('fetch', leader)) >= FETCH_BY_ID
    const asked = new Map(partitions.map((each) => [each, each.next]))
    const answer = await this.#cluster.request('fetch', leader, [
      FETCH_WAIT_MS,
      1,
      MAX_FETCH_BYTES,
      READ_COMMITTED,
      0,
      -1,
      toTopics(partitions, byId),
      [],
      '',
    ])
    if (answer.errorCode !== 0)
      throw new TapelineError('BROKER_UNAVAILABLE', `a fetch was refused (error ${answer.errorCode})`)
    const parts = new Map<string, PartitionAnswer>()
    for (const { topicId, partitions: answered } of answer.responses)
      for (const part of answered) parts.set(`${topicId}:${part.partitionIndex}`, part)
    const troubled: [Assigned, number][] = []
    for (const [each, from] of asked) {
      const part = parts.get(`${byId ? each.topicId : each.topic}:${each.partition}`)
      // Moved or taken away meanwhile: what came is of no use.
      if (part === undefined || this.#assigned.get(each.key) !== each || each.next !== from) continue
      if (part.errorCode === 0) this.#keep(each, part)
      else troubled.push([each, part.errorCode])
    }
    // Served last: the first of a request are served first where the answer is full.
    for (const each of partitions) if (each.next !== asked.get(each)) this.#toEnd(each)
    if (troubled.length > 0) await this.#settle(troubled)
  }

  #toEnd(each: Assigned): void {
    if (this.#assigned.get(each.key) !== each) return
    this.#assigned.delete(each.key)
    this.#assigned.set(each.key, each)
  }

  #keep(each: Assigned, part: PartitionAnswer): void {
    const { records, nextOffset } = readFetched(part, each.next)
    each.goneSince = undefined
    if (nextOffset === each.next) {
      this.#watch(each, Number(part.lastStableOffset))
      return
    }
    each.stalledSince = undefined
    each.next = nextOffset
    const { key, topic, topicId, partition } = each
    const endOffset = Math.max(nextOffset, Number(part.highWatermark))
    this.#buffer.add(key, { topic, topicId, partition, records, nextOffset, endOffset })
    this.#tellPoll()
  }

  /** Rebuilds the connections where records are there and do not come. */
  #watch(each: Assigned, end: number): void {
    if (end <= each.next) {
      each.stalledSince = undefined
      return
    }
    each.stalledSince ??= performance.now()
    if (performance.now() - each.stalledSince < STALLED_MS) return
    each.stalledSince = undefined
    this.#log.warn(
      { topic: each.topic, partition: each.partition, next: each.next, end },
      'reading has stalled; connecting again',
    )
    this.#cluster.drop().catch((error: unknown) => this.#fail(error))
  }

  async #settle(troubled: readonly [Assigned, number][]): Promise<void> {
    const forbidden = troubled.find(([, code]) => code === CODE.forbidden)
    if (forbidden) throw refused('BROKER_FORBIDDEN', `the user may not read the topic ${forbidden[0].topic}`)
    const lost = troubled.filter(([, code]) => code === CODE.outOfRange).map(([each]) => each)
    if (lost.length > 0) await this.#moveIntoLog(lost)
    const others = troubled.filter(([, code]) => code !== CODE.outOfRange).map(([each]) => each)
    if (others.length === 0) return
    await this.#pause()
    await this.#lookForLeaders(others)
  }

  /** A position that retention has passed, or that lies behind the end of the log, goes on where the log is. */
  async #moveIntoLog(lost: readonly Assigned[]): Promise<void> {
    const states = [...new Set(lost.map(({ topic }) => topic))].flatMap(
      (name) => this.#cluster.known(name) ?? [],
    )
    const { signal } = this.#closing
    const earliest = await listOffsets(this.#cluster, states, OFFSET_AT.earliest, signal)
    const ends = await listOffsets(this.#cluster, states, OFFSET_AT.end, signal)
    for (const each of lost) {
      const { key, topic, partition, next: position } = each
      const [from, end] = [earliest.get(topic)?.[partition], ends.get(topic)?.[partition]]
      if (from === undefined || end === undefined || this.#assigned.get(key) !== each) continue
      if (position >= from && position <= end) continue
      each.next = position < from ? from : end
      this.#buffer.tell(key, { kind: 'truncated', topic, partition, position, earliest: each.next })
      this.#tellPoll()
    }
  }

  /** Asks where partitions are led now, and finds out which topics are gone. */
  async #lookForLeaders(partitions: readonly Assigned[]): Promise<void> {
    const names = [...new Set(partitions.map(({ topic }) => topic))]
    if (names.length === 0) return
    const found = await this.#cluster.topics(names)
    for (const name of names) {
      const own = partitions.filter(({ topic }) => topic === name)
      const isThere = own.every(({ topicId }) => found.get(name)?.id === topicId)
      for (const each of own) each.goneSince = isThere ? undefined : (each.goneSince ?? performance.now())
      const since = own[0]?.goneSince
      if (since === undefined || performance.now() - since < GONE_MS) continue
      for (const each of [...this.#assigned.values()])
        if (each.topic === name) this.#assigned.delete(each.key)
      this.#buffer.tell(own[0]?.key ?? name, { kind: 'deleted', topic: name })
      this.#tellPoll()
    }
  }
}

function refused(code: ErrorCode, message: string): TapelineError {
  return new TapelineError(code, message)
}

function toTopics(partitions: readonly Assigned[], byId: boolean) {
  return [...Map.groupBy(partitions, ({ topic }) => topic)].map(([topic, own]) => ({
    topicId: byId ? (own[0]?.topicId ?? '') : topic,
    partitions: own.map(({ partition, next }) => ({
      partition,
      currentLeaderEpoch: -1,
      fetchOffset: BigInt(next),
      lastFetchedEpoch: -1,
      partitionMaxBytes: MAX_PARTITION_BYTES,
    })),
  }))
}
