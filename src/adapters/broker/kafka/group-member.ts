import { onAbort } from '../../../async/abort.ts'
import { doubled } from '../../../async/back-off.ts'
import { withDeadline } from '../../../async/deadline.ts'
import { pause, startInterval, type Timer } from '../../../async/timers.ts'
import { partitionKey } from '../../../domain/record.ts'
import { TapelineError } from '../../../errors.ts'
import type { GroupMember, GroupOptions, ReadPosition } from '../../../ports/broker.ts'
import { abortReason } from '../abort-reason.ts'
import type { TopicPartition } from './assign-partitions.ts'
import { AssignmentTeller } from './assignment-teller.ts'
import { Cluster } from './cluster.ts'
import { brokerError } from './errors.ts'
import { GroupSession, REBALANCE_MS } from './group-session.ts'
import type { KafkaSettings } from './settings.ts'
import type { TopicView } from './topic-view.ts'

const HEARTBEAT_MS = 500
const LOOK_MS = 250
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 1_000
/** How long the others wait until a member has given up what it loses. */
const REVOKE_MS = 5_000
/** A request to join is answered when all have come. */
const JOIN_ANSWER_MS = REBALANCE_MS + 5_000
const COMMIT_MS = 5_000
const ANY_EPOCH = -1

/**
 * One member of a classic consumer group, from joining to leaving, over every outage. While the group is distributed anew, the member goes on with the
 * partitions that it keeps. It gives up those that it loses before another member gets them.
 *
 * The group gives a member up that it has not heard for a session. From then on the member's partitions are in doubt, until the group hears it again or
 * it has joined anew. It asks for the same partitions, and gets them unless another member has them by now.
 *
 * A leader that was away itself knows that other members were away too, and will come back. So for one session after the group has given those up, it
 * gives nobody a partition that no member asks for.
 */
export class KafkaGroupMember implements GroupMember {
  readonly #cluster: Cluster
  /** Commits go their own way: joining holds a connection up. */
  readonly #commits: Cluster
  readonly #session: GroupSession
  readonly #teller: AssignmentTeller
  readonly #log: KafkaSettings['log']
  readonly #group: string
  readonly #closing = new AbortController()
  readonly #joined = Promise.withResolvers<void>()
  readonly #running: Promise<void>
  readonly #guard: Timer
  #owned: readonly TopicPartition[] = []
  /** Since when others may have what it owns (performance.now). */
  #doubtedAt: number | undefined
  /** When the last request was sent that the group has answered (performance.now). */
  #heardAt = performance.now()
  /** Until then it gives, as the leader, only what members ask for (performance.now). */
  #settledAt = 0
  /** Whether it has left something to those who may come back. */
  #hasRest = false
  /** After so long without an answer the partitions are in doubt. */
  #unheardMs: number
  readonly #sessionMs: number
  #leaving: Promise<void> | undefined

  constructor(settings: KafkaSettings, view: TopicView, options: GroupOptions, commits: Cluster) {
    this.#cluster = new Cluster(settings, view, JOIN_ANSWER_MS)
    this.#commits = commits
    this.#log = settings.log
    this.#group = options.group
    this.#session = new GroupSession(this.#cluster, options, settings)
    this.#sessionMs = settings.sessionMs
    this.#unheardMs = settings.sessionMs
    this.#teller = new AssignmentTeller(options, settings.log)
    this.#joined.promise.catch(() => undefined)
    this.#guard = startInterval(() => this.#doubtWhenUnheard(), LOOK_MS)
    this.#running = this.#stay()
  }

  /** Resolves when the group has taken the member in. Where it will not, or the signal aborts, the member is ended. */
  async ready(signal: AbortSignal): Promise<void> {
    const off = onAbort(signal, () => this.#joined.reject(abortReason(signal)))
    try {
      await this.#joined.promise
    } catch (error) {
      await this.leave()
      throw error
    } finally {
      off()
    }
  }

  /** Only ever as the member of the present generation, and without consequences: a commit that comes late is dropped. */
  async commit(positions: readonly ReadPosition[], signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw abortReason(signal)
    const identity = this.#session.identity
    const owned = new Set(this.#owned.map(partitionKey))
    const own = positions.filter((position) => owned.has(partitionKey(position)))
    if (identity === undefined || own.length === 0) return
    const topics = [...Map.groupBy(own, ({ topic }) => topic)].map(([name, places]) => ({
      name,
      partitions: places.map(({ partition, offset }) => ({
        partitionIndex: partition,
        committedOffset: BigInt(offset),
        committedLeaderEpoch: ANY_EPOCH,
      })),
    }))
    const { memberId, generation } = identity
    try {
      const answer = await withDeadline(signal, COMMIT_MS, async (late) => {
        const { node, errorCode } = await this.#commits.coordinator('group', this.#group, late)
        if (errorCode !== 0)
          throw new TapelineError('BROKER_UNAVAILABLE', `no coordinator (error ${errorCode})`)
        const args = [this.#group, generation, memberId, null, topics] as const
        return this.#commits.request('offsetCommit', node, [...args], late)
      })
      const codes = answer.topics.flatMap(({ partitions }) => partitions.map((each) => each.errorCode))
      const failed = codes.find((code) => code !== 0)
      if (failed !== undefined)
        this.#log.debug({ group: this.#group, errorCode: failed }, 'positions came too late')
    } catch (error) {
      if (signal.aborted) throw abortReason(signal)
      const { code } = brokerError(error, 'the positions were not told')
      this.#log.debug({ group: this.#group, code }, 'positions were not told to the group')
    }
  }

  leave(): Promise<void> {
    this.#leaving ??= this.#leave()
    return this.#leaving
  }

  async #leave(): Promise<void> {
    this.#closing.abort()
    this.#guard.stop()
    await this.#teller.stop()
    try {
      await this.#session.leave()
    } catch (error) {
      const { code } = brokerError(error, 'the group was not told')
      this.#log.debug({ group: this.#group, code }, 'the group notices later that the member has left')
    }
    await this.#cluster.close()
    await this.#running
  }

  /** Joins, and joins again, until it leaves. */
  async #stay(): Promise<void> {
    const { signal } = this.#closing
    for (let failures = 0; !signal.aborted; ) {
      try {
        const verdict = await this.#takePart()
        if (verdict !== 'again') {
          failures = 0
          continue
        }
      } catch (thrown) {
        if (signal.aborted) return
        this.#session.forgetCoordinator()
        const error = brokerError(thrown, 'the group cannot be reached')
        if (!error.retryable) this.#joined.reject(error)
        if (failures === 0)
          this.#log.warn(
            { group: this.#group, code: error.code, reason: error.message },
            'cannot reach the group',
          )
      }
      failures++
      const pauseMs = doubled(FIRST_PAUSE_MS, LONGEST_PAUSE_MS, failures - 1)
      await pause(pauseMs, signal)
    }
  }

  /** One generation: joins, works with its partitions, and gives up what it loses. */
  async #takePart(): Promise<'again' | 'rejoin'> {
    const { signal } = this.#closing
    this.#settleAfterAway(1)
    // The group waits for others, and for those that are dead until their session ends; the member counts as alive meanwhile.
    this.#unheardMs = JOIN_ANSWER_MS
    const result = await this.#session
      .join(this.#owned, performance.now() < this.#settledAt, signal)
      .finally(() => {
        this.#unheardMs = this.#sessionMs
      })
    if (typeof result === 'string') return this.#obey(result)
    this.#heardAt = performance.now()
    this.#joined.resolve()
    const { given, hasRest } = result
    this.#hasRest = hasRest
    const kept = new Set(given.map(partitionKey))
    const loses = this.#owned.some((place) => !kept.has(partitionKey(place)))
    this.#owned = given
    this.#doubtedAt = undefined
    const told = this.#teller.tell(given)
    const revoked = loses ? Promise.race([told, pause(REVOKE_MS, signal)]) : undefined
    return this.#beat(revoked, hasRest ? this.#settledAt : Infinity)
  }

  /**
   * Heartbeats until the group is distributed anew, until what was lost is given up so that others can have it, or until what nobody
   * asked for is to be given too (`restAt`, performance.now).
   */
  async #beat(revoked: Promise<unknown> | undefined, restAt: number): Promise<'again' | 'rejoin'> {
    const { signal } = this.#closing
    let isRevoked = false
    const revoking = revoked?.then(() => {
      isRevoked = true
    })
    for (let failures = 0; !signal.aborted; ) {
      await Promise.race([pause(HEARTBEAT_MS, signal), ...(revoking === undefined ? [] : [revoking])])
      if (signal.aborted || isRevoked || performance.now() >= restAt || this.#session.identity === undefined)
        break
      try {
        const sentAt = performance.now()
        const verdict = await this.#session.heartbeat(signal)
        if (verdict === 'ok') {
          this.#settleAfterAway(2)
          this.#heardAt = sentAt
          failures = 0
          this.#believeAgain(sentAt)
        } else if (verdict !== 'again') return this.#obey(verdict)
      } catch (thrown) {
        if (signal.aborted) break
        const { code, retryable } = brokerError(thrown, 'a heartbeat failed')
        if (!retryable) throw thrown
        if (failures === 0) this.#log.debug({ group: this.#group, code }, 'a heartbeat failed')
        failures++
      }
    }
    return 'rejoin'
  }

  /**
   * Where nothing was heard of the group for long, others may have been away as well: when it is heard again, and before it counts as
   * heard, those get a session to come back in. Where a heartbeat is heard first, that session begins only when the group has given
   * them up, which takes it a session.
   */
  #settleAfterAway(sessions: 1 | 2): void {
    // While something waits already, a broker that is merely slow does not make it wait for ever.
    const awayMs = this.#hasRest ? this.#sessionMs : this.#sessionMs / 2
    const now = performance.now()
    if (!this.#session.wasMember || now - this.#heardAt <= awayMs) return
    this.#settledAt = Math.max(this.#settledAt, now + sessions * this.#sessionMs)
  }

  #obey(verdict: 'again' | 'rejoin' | 'lost'): 'again' | 'rejoin' {
    if (verdict !== 'lost') return verdict
    this.#session.forgetMember()
    this.#doubt()
    return 'rejoin'
  }

  /** Without a word from the group for a session, others may have what is ours. */
  #doubtWhenUnheard(): void {
    if (performance.now() - this.#heardAt <= this.#unheardMs) return
    this.#doubt()
  }

  #doubt(): void {
    if (this.#doubtedAt !== undefined || this.#owned.length === 0) return
    this.#doubtedAt = performance.now()
    this.#log.warn({ group: this.#group }, 'the group may have given the partitions of this member to others')
    this.#teller.doubt()
  }

  /** A heartbeat that was sent since has been answered: in the generation that the member knows nobody else can have what it has. */
  #believeAgain(sentAt: number): void {
    if (this.#doubtedAt === undefined || sentAt < this.#doubtedAt) return
    this.#doubtedAt = undefined
    void this.#teller.tell(this.#owned)
  }
}
