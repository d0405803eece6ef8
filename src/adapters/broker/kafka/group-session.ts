import {
  decodeConsumerProtocolAssignment,
  decodeConsumerProtocolSubscription,
  encodeConsumerProtocolAssignment,
  encodeConsumerProtocolSubscription,
} from '@platformatic/kafka'
import { withDeadline } from '../../../async/deadline.ts'
import { deadlineAfter } from '../../../async/timers.ts'
import { partitionKey } from '../../../domain/record.ts'
import type { GroupOptions } from '../../../ports/broker.ts'
import { assignPartitions, type Subscriber, type TopicPartition } from './assign-partitions.ts'
import type { Answer, Cluster } from './cluster.ts'
import { errorOfCode } from './error-table.ts'
import type { KafkaSettings } from './settings.ts'

/** How long the others wait for a member that does not come to a new distribution. */
export const REBALANCE_MS = 10_000
/** The usual tools show members of this kind with their partitions. */
const PROTOCOL_TYPE = 'consumer'
/**
 * A group has members of one protocol: while one of ours is in, the broker refuses those of builds that pass over what they do not
 * understand (R23), which have another name for it.
 */
const PROTOCOL = 'tapeline-cooperative-2'
/** That of those builds. They distribute partitions as we do, but must not have any beside us. */
const EARLIER_PROTOCOL = 'tapeline-cooperative'
const SUBSCRIPTION_VERSION = 2
const ASSIGNMENT_VERSION = 1
/**
 * What a member had in a generation that the group has given it up in, it asks for as of so many generations before: nobody else is
 * to get it, unless another has it by now.
 */
const BEFORE_ALL = 2 ** 31 - 1
/** A heartbeat is to be answered within this, and within half a session. */
const HEARTBEAT_ANSWER_MS = 3_000
const LEAVE_MS = 1_000

/** The protocol's codes that are told apart. Source: https://kafka.apache.org/protocol#protocol_error_codes */
const CODE = {
  coordinatorLoading: 14,
  noCoordinator: 15,
  notCoordinator: 16,
  illegalGeneration: 22,
  otherProtocol: 23,
  unknownMember: 25,
  rebalance: 27,
  memberIdRequired: 79,
} as const

/** What a member does next. */
export type Verdict =
  | 'ok'
  /** Ask again, of whoever is the coordinator then. */
  | 'again'
  /** Come to the new distribution, with what it has. */
  | 'rejoin'
  /** The group does not know the member any more: it has nothing. */
  | 'lost'

/** What a member has in the generation that it has joined. */
interface Joined {
  readonly given: readonly TopicPartition[]
  /** As the leader: what no member has was given to nobody. */
  readonly hasRest: boolean
}

/** One member's conversation with the coordinator of its group. */
export class GroupSession {
  readonly #cluster: Cluster
  readonly #group: string
  readonly #topics: readonly string[]
  readonly #sessionMs: number
  readonly #log: KafkaSettings['log']
  #coordinator: number | undefined
  #memberId = ''
  #generation = -1
  /** The last generation that it was a member of. */
  #lastGeneration = 0

  constructor(
    cluster: Cluster,
    { group, topics }: Pick<GroupOptions, 'group' | 'topics'>,
    { sessionMs, log }: Pick<KafkaSettings, 'sessionMs' | 'log'>,
  ) {
    this.#cluster = cluster
    this.#group = group
    this.#topics = topics
    this.#sessionMs = sessionMs
    this.#log = log
  }

  /** Who the member is at present, for commits; undefined while it is not in the group. */
  get identity(): { readonly memberId: string; readonly generation: number } | undefined {
    if (this.#memberId === '' || this.#generation < 0) return undefined
    return { memberId: this.#memberId, generation: this.#generation }
  }

  /** Whether it has been in the group, now or before. */
  get wasMember(): boolean {
    return this.#lastGeneration > 0
  }

  /** Joins, or joins again. As the leader it gives with `onlyOwned` nobody what no member has. */
  async join(
    owned: readonly TopicPartition[],
    onlyOwned: boolean,
    signal: AbortSignal,
  ): Promise<Joined | Exclude<Verdict, 'ok'>> {
    const node = await this.#find(signal)
    if (node === undefined) return 'again'
    const metadata = encodeConsumerProtocolSubscription({
      version: SUBSCRIPTION_VERSION,
      topics: [...this.#topics],
      ownedPartitions: grouped(owned),
      generationId: this.#generation >= 0 ? this.#generation : this.#lastGeneration - BEFORE_ALL,
    })
    const protocols = [{ name: PROTOCOL, metadata }]
    const joined = await this.#cluster.request(
      'joinGroup',
      node,
      [this.#group, this.#sessionMs, REBALANCE_MS, this.#memberId, null, PROTOCOL_TYPE, protocols, null],
      signal,
    )
    if (joined.errorCode === CODE.memberIdRequired) {
      this.#memberId = joined.memberId
      return this.join(owned, onlyOwned, signal)
    }
    const verdict =
      joined.errorCode === CODE.otherProtocol
        ? await this.#removeEarlier(node, signal)
        : this.#judge(joined.errorCode)
    if (verdict !== 'ok') return verdict
    this.#memberId = joined.memberId
    this.#generation = joined.generationId
    this.#lastGeneration = joined.generationId
    const isLeader = joined.leader === joined.memberId
    const assigned = isLeader ? await this.#distribute(joined.members, onlyOwned, signal) : undefined
    const assignments = [...(assigned?.shares ?? [])].map(([memberId, own]) => ({
      memberId,
      assignment: encodeConsumerProtocolAssignment({
        version: ASSIGNMENT_VERSION,
        assignedPartitions: grouped(own),
      }),
    }))
    const synced = await this.#cluster.request(
      'syncGroup',
      node,
      [this.#group, this.#generation, this.#memberId, null, PROTOCOL_TYPE, PROTOCOL, assignments],
      signal,
    )
    const outcome = this.#judge(synced.errorCode)
    if (outcome !== 'ok') return outcome
    const given = flat(decodeConsumerProtocolAssignment(synced.assignment).assignedPartitions)
    return { given, hasRest: assigned?.hasRest ?? false }
  }

  async heartbeat(signal: AbortSignal): Promise<Verdict> {
    const node = await this.#find(signal)
    if (node === undefined) return 'again'
    const answerMs = Math.min(HEARTBEAT_ANSWER_MS, this.#sessionMs / 2)
    return withDeadline(signal, answerMs, async (late) => {
      try {
        const args = [this.#group, this.#generation, this.#memberId, null] as const
        const answer = await this.#cluster.request('heartbeat', node, [...args], late)
        return this.#judge(answer.errorCode)
      } catch (error) {
        this.#coordinator = undefined
        if (late.aborted) await this.#cluster.drop(node)
        throw error
      }
    })
  }

  /** The coordinator could not be reached; another one may have taken over. */
  forgetCoordinator(): void {
    this.#coordinator = undefined
  }

  /** The group has given the member up: it joins as a new one. */
  forgetMember(): void {
    this.#memberId = ''
    this.#generation = -1
  }

  /** Gives all partitions free at once, where the coordinator can be reached. */
  async leave(): Promise<void> {
    const [node, memberId] = [this.#coordinator, this.#memberId]
    if (node === undefined || memberId === '') return
    const members = [{ memberId, groupInstanceId: null }]
    await this.#cluster.request('leaveGroup', node, [this.#group, members], deadlineAfter(LEAVE_MS))
  }

  /**
   * The members have another protocol. Where it is that of earlier builds, the group is told that they have left: they ask to join again, and are
   * refused once this one is in. Raises BROKER_REFUSED where they belong to another program, which has a right to be there.
   */
  async #removeEarlier(node: number, signal: AbortSignal): Promise<Verdict> {
    const { groups } = await this.#cluster.request('describeGroups', node, [[this.#group], false], signal)
    const { protocolData = '', members = [] } = groups[0] ?? {}
    // While a group distributes its partitions it does not say what its protocol is; and others of this build may have removed them by now.
    if (protocolData === '' || protocolData === PROTOCOL) return 'again'
    if (protocolData !== EARLIER_PROTOCOL) return this.#judge(CODE.otherProtocol)
    const removed = members.map(({ memberId }) => ({ memberId, groupInstanceId: null }))
    await this.#cluster.request('leaveGroup', node, [this.#group, removed], signal)
    this.#log.warn(
      { group: this.#group, members: removed.length },
      'members of an earlier version were removed from the group: it takes them in again only when no member of this version is in',
    )
    return 'rejoin'
  }

  async #find(signal: AbortSignal): Promise<number | undefined> {
    if (this.#coordinator !== undefined) return this.#coordinator
    const { node, errorCode } = await this.#cluster.coordinator('group', this.#group, signal)
    if (errorCode === 0) this.#coordinator = node
    else this.#judge(errorCode)
    return this.#coordinator
  }

  /** As the leader: who gets what, and whether something is left that no member has. */
  async #distribute(members: Answer<'joinGroup'>['members'], onlyOwned: boolean, signal: AbortSignal) {
    const subscribers = members.map(({ memberId: id, metadata }): Subscriber => {
      const { topics, ownedPartitions, generationId } = decodeConsumerProtocolSubscription(metadata)
      return { id, topics, owned: flat(ownedPartitions), generation: generationId }
    })
    const names = new Set(subscribers.flatMap(({ topics }) => topics))
    const states = await this.#cluster.topics([...names], signal)
    const counts = new Map([...states].map(([name, { leaders }]) => [name, leaders.length]))
    const shares = assignPartitions(subscribers, counts)
    if (!onlyOwned) return { shares, hasRest: false }
    const owned = new Set(subscribers.flatMap((each) => each.owned.map(partitionKey)))
    const isOwned = (place: TopicPartition): boolean => owned.has(partitionKey(place))
    return {
      shares: new Map([...shares].map(([id, own]) => [id, own.filter(isOwned)])),
      hasRest: [...shares.values()].some((own) => !own.every(isOwned)),
    }
  }

  /** Raises BROKER_FORBIDDEN, BROKER_UNSUPPORTED. */
  #judge(errorCode: number): Verdict {
    switch (errorCode) {
      case 0:
        return 'ok'
      case CODE.rebalance:
        return 'rejoin'
      case CODE.unknownMember:
      case CODE.illegalGeneration:
        this.forgetMember()
        return 'lost'
      case CODE.coordinatorLoading:
        return 'again'
      case CODE.noCoordinator:
      case CODE.notCoordinator:
        this.forgetCoordinator()
        return 'again'
      default:
        throw errorOfCode(errorCode, `the group ${this.#group} does not take the member`)
    }
  }
}

function grouped(partitions: readonly TopicPartition[]): { topic: string; partitions: number[] }[] {
  return [...Map.groupBy(partitions, ({ topic }) => topic)].map(([topic, own]) => ({
    topic,
    partitions: own.map(({ partition }) => partition),
  }))
}

function flat(
  assigned: readonly { readonly topic: string; readonly partitions: readonly number[] }[],
): TopicPartition[] {
  return assigned.flatMap(({ topic, partitions }) => partitions.map((partition) => ({ topic, partition })))
}
