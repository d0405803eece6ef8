import { doubled } from '../../../async/back-off.ts'
import { pause, startTimer } from '../../../async/timers.ts'
import { partitionKey } from '../../../domain/record.ts'
import type { TapelineError } from '../../../errors.ts'
import { Cluster } from './cluster.ts'
import { errorOfCode } from './error-table.ts'
import { brokerError } from './errors.ts'
import { type Assigned, FetchLane, type FetchWait } from './fetch-lane.ts'
import { FETCH_BY_ID, type FetchAnswer, type FetchedPartition, type FetchRequest } from './fetch-request.ts'
import type { EpochEnd } from './leader-epochs.ts'
import { epochEnds } from './offsets.ts'
import type { KafkaSettings } from './settings.ts'
import type { TopicView } from './topic-view.ts'

/** How long a broker holds a fetch that finds nothing: with nothing to read, each costs more than all else that a process does. */
const FETCH_WAIT_MS = 1_000
/** A partition that is added meanwhile waits so long at most: then the fetch is cut off, and asked anew with it. */
const ADDED_WAIT_MS = 100
const MAX_FETCH_BYTES = 8 * 1024 * 1024
const MAX_PARTITION_BYTES = 1024 * 1024
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 500
/** Records that are there and do not come for so long: what the broker knows of the reader is wrong. */
const STALLED_MS = 5_000

/** There is no leader; the other troubles are the protocol's error codes. */
const NO_LEADER = -1
const UNKNOWN_EPOCH = -1

/** What a fetcher tells its reader. */
export interface FetchListener {
  /** Whether more may be fetched; where not, `wake` has to be called later. */
  readonly hasRoom: () => boolean
  /** Takes what came and moves the offset on. */
  readonly onFetched: (assigned: Assigned, part: FetchedPartition) => void
  /** A partition that cannot be fetched; it is left out until `restore`. */
  readonly onTrouble: (assigned: Assigned, errorCode: number) => void
  /** The log holds something else than what was fetched, from an offset on that was passed already; it is left out. */
  readonly onDiverged: (assigned: Assigned, offset: number) => void
  readonly onFailure: (error: TapelineError) => void
  /** A broker has answered. */
  readonly onAnswer: () => void
}

/**
 * Keeps one fetch under way to each broker that leads something, from positions of its own, without a group. It is long, and one file: a partition is
 * in one lane, in trouble or without a place, and each step moves it from one of these to another.
 */
export class Fetcher {
  /** For all but the fetches: an answer would have to wait for them. */
  readonly cluster: Cluster
  readonly #fetches: Cluster
  readonly #log: KafkaSettings['log']
  readonly #listener: FetchListener
  readonly #assigned = new Map<string, Assigned>()
  /** Those that no lane has yet. */
  readonly #unplaced = new Set<Assigned>()
  readonly #lanes = new Map<number, FetchLane>()
  readonly #laneOf = new Map<Assigned, FetchLane>()
  readonly #running = new Set<number>()
  readonly #behind = new Set<Assigned>()
  readonly #closing = new AbortController()
  #room: PromiseWithResolvers<void> | undefined

  constructor(settings: KafkaSettings, view: TopicView, listener: FetchListener) {
    this.cluster = new Cluster(settings, view)
    this.#fetches = new Cluster(settings, view)
    this.#log = settings.log
    this.#listener = listener
  }

  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /** All that is read of a topic. */
  of(topicId: string): Assigned[] {
    return [...this.#assigned.values()].filter((each) => each.topicId === topicId)
  }

  isCurrent(assigned: Assigned): boolean {
    return this.#assigned.get(partitionKey(assigned)) === assigned
  }

  add(assigned: Assigned): void {
    this.remove(assigned)
    this.#assigned.set(partitionKey(assigned), assigned)
    this.#unplaced.add(assigned)
  }

  remove(place: { readonly topic: string; readonly partition: number }): void {
    const key = partitionKey(place)
    const former = this.#assigned.get(key)
    if (former === undefined) return
    this.#assigned.delete(key)
    this.#displace(former)
    this.#unplaced.delete(former)
  }

  /** A partition that was in trouble is fetched again. */
  restore(assigned: Assigned): void {
    if (this.isCurrent(assigned)) this.#unplaced.add(assigned)
  }

  /** Begins to fetch what is new, and goes on where there was no room. */
  wake(): void {
    if (this.#closing.signal.aborted) return
    this.#room?.resolve()
    for (const each of this.#unplaced) this.#place(each)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#room?.resolve()
    await Promise.all([this.cluster.close(), this.#fetches.close()])
  }

  #place(assigned: Assigned): void {
    const state = this.cluster.known(assigned.topic)
    const leader = state?.leaders[assigned.partition] ?? NO_LEADER
    if (leader === NO_LEADER) {
      this.#trouble(assigned, NO_LEADER)
      return
    }
    const lane = this.#lanes.get(leader)
    if (lane === undefined) {
      if (!this.#running.has(leader)) void this.#run(leader)
      return
    }
    this.#unplaced.delete(assigned)
    this.#laneOf.set(assigned, lane)
    assigned.leaderEpoch = state?.epochs[assigned.partition] ?? UNKNOWN_EPOCH
    lane.add(assigned)
    this.#hurry(leader, lane)
  }

  /** A fetch that does not know of what was added is cut off, if it still waits then. */
  #hurry(leader: number, lane: FetchLane): void {
    const { wait } = lane
    if (wait === undefined || wait.cut !== undefined) return
    wait.cut = startTimer(
      () => {
        wait.isCut = true
        void this.#fetches.drop(leader)
      },
      Math.max(0, wait.since + ADDED_WAIT_MS - performance.now()),
    )
  }

  #displace(assigned: Assigned): void {
    this.#laneOf.get(assigned)?.remove(assigned)
    this.#laneOf.delete(assigned)
    this.#behind.delete(assigned)
    assigned.behindSince = undefined
  }

  #trouble(assigned: Assigned, errorCode: number): void {
    this.#displace(assigned)
    this.#unplaced.delete(assigned)
    this.#listener.onTrouble(assigned, errorCode)
  }

  /** Fetches from one broker as long as it leads something. */
  async #run(leader: number): Promise<void> {
    this.#running.add(leader)
    for (let failures = 0; !this.#closing.signal.aborted; ) {
      try {
        await this.#fetchAll(leader, () => {
          failures = 0
        })
        break
      } catch (thrown) {
        if (this.#closing.signal.aborted) break
        failures++
        this.#listener.onFailure(brokerError(thrown, 'reading failed'))
        await pause(doubled(FIRST_PAUSE_MS, LONGEST_PAUSE_MS, failures - 1), this.#closing.signal)
        await this.#leave(leader)
        if (![...this.#unplaced].some((each) => this.#isLedBy(each, leader))) break
      }
    }
    // What was placed between the last look and now would wait for ever in a lane that nobody fetches.
    for (const each of [...(this.#lanes.get(leader)?.members ?? [])]) {
      this.#displace(each)
      this.#unplaced.add(each)
    }
    this.#lanes.delete(leader)
    this.#running.delete(leader)
    this.wake()
  }

  #isLedBy({ topic, partition }: Assigned, leader: number): boolean {
    return this.cluster.known(topic)?.leaders[partition] === leader
  }

  async #fetchAll(leader: number, onAnswer: () => void): Promise<void> {
    const lane = new FetchLane((await this.#fetches.version('fetch', leader)) >= FETCH_BY_ID)
    this.#lanes.set(leader, lane)
    this.wake()
    while (!this.#closing.signal.aborted && lane.members.size > 0) {
      if (lane.unchecked.size > 0) await this.#check(leader, lane)
      else if (this.#listener.hasRoom()) {
        await this.#fetch(leader, lane)
        onAnswer()
      } else await this.#untilRoom()
    }
  }

  async #untilRoom(): Promise<void> {
    this.#room ??= Promise.withResolvers()
    await this.#room.promise
    this.#room = undefined
  }

  async #fetch(leader: number, lane: FetchLane): Promise<void> {
    if (this.#isStalled(lane)) lane.reset()
    const change = lane.change(performance.now())
    const limits = {
      maxWaitMs: FETCH_WAIT_MS,
      maxBytes: MAX_FETCH_BYTES,
      maxPartitionBytes: MAX_PARTITION_BYTES,
    }
    const answer = await this.#ask(leader, lane, { ...limits, ...change })
    if (answer === undefined || !lane.answered(answer)) return
    if (answer.errorCode !== 0) throw errorOfCode(answer.errorCode, 'a fetch was refused')
    this.#listener.onAnswer()
    for (const { topic, partitions } of answer.topics) {
      for (const part of partitions) {
        const found = lane.find(topic, part.partition)
        // Moved or taken away meanwhile: what came is of no use.
        if (found === undefined || !this.isCurrent(found)) continue
        if (part.diverging !== undefined && this.#compare(found, part.diverging)) continue
        if (part.errorCode === 0) this.#take(found, part, lane)
        else this.#trouble(found, part.errorCode)
      }
    }
  }

  /** Undefined where the fetch was cut off for the sake of what was added. */
  async #ask(leader: number, lane: FetchLane, request: FetchRequest): Promise<FetchAnswer | undefined> {
    const wait: FetchWait = { since: performance.now(), cut: undefined, isCut: false }
    lane.wait = wait
    try {
      return await this.#fetches.request('fetch', leader, [request])
    } catch (error) {
      if (!wait.isCut || this.#closing.signal.aborted) throw error
      // The broker may have taken the request in: what it knows of the session is another thing now.
      lane.reset()
      return undefined
    } finally {
      wait.cut?.stop()
      lane.wait = undefined
    }
  }

  /** Asks a broker whose answers to fetches do not tell whether its log still holds what was fetched. */
  async #check(leader: number, lane: FetchLane): Promise<void> {
    const asked = [...lane.unchecked]
    const ends = await epochEnds(this.cluster, leader, asked)
    for (const each of asked) {
      if (!lane.unchecked.delete(each)) continue
      const end = ends.get(partitionKey(each))
      if (end === undefined) continue
      if (end.errorCode === 0) this.#compare(each, end)
      else this.#trouble(each, end.errorCode)
    }
  }

  /** Whether the log holds something else than what was fetched. */
  #compare(each: Assigned, end: EpochEnd): boolean {
    const offset = each.epochs.divergence(end, each.offset)
    if (offset === undefined) return false
    const { topic, partition, offset: position } = each
    this.#log.warn(
      { topic, partition, position, offset },
      'the log lost its end, and holds something else now',
    )
    this.#displace(each)
    this.#unplaced.delete(each)
    this.#listener.onDiverged(each, offset)
    return true
  }

  #take(each: Assigned, part: FetchedPartition, lane: FetchLane): void {
    if (part.bytes.length > 0) {
      each.behindSince = undefined
      this.#behind.delete(each)
      each.epochs.follow(part.bytes)
      this.#listener.onFetched(each, part)
      lane.moved(each)
    } else if (part.lastStableOffset > each.offset) {
      each.behindSince ??= performance.now()
      this.#behind.add(each)
    }
  }

  /** Whether the broker said long ago of one of these that there is more, and it has not come. */
  #isStalled({ members }: FetchLane): boolean {
    const before = performance.now() - STALLED_MS
    const stalled = [...this.#behind].filter(
      (each) => (each.behindSince ?? before) < before && members.has(each),
    )
    for (const each of stalled) {
      const { topic, partition, offset } = each
      this.#log.warn({ topic, partition, offset }, 'records that are there do not come; asking anew')
      this.#behind.delete(each)
      each.behindSince = undefined
    }
    return stalled.length > 0
  }

  /** Takes everything from a broker that failed, and looks who leads it now. */
  async #leave(leader: number): Promise<void> {
    const members = [...(this.#lanes.get(leader)?.members ?? [])]
    this.#lanes.delete(leader)
    for (const each of members) {
      this.#displace(each)
      this.#unplaced.add(each)
    }
    const names = new Set([...this.#unplaced].map(({ topic }) => topic))
    try {
      await this.#fetches.topics([...names])
    } catch (thrown) {
      if (!this.#closing.signal.aborted) this.#listener.onFailure(brokerError(thrown, 'reading failed'))
    }
  }
}
