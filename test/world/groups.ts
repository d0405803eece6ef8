import type { GroupMember, GroupOptions } from '../../src/ports/broker.ts'
import type { Host } from './clock.ts'
import { Group, type Member } from './group.ts'
import type { Link, Surroundings } from './link.ts'
import type { MemoryBroker } from './memory-broker.ts'

/** How often the groups look who is there. */
const LOOK_MS = 500

/** What a group gave a process. */
export interface Gift {
  readonly group: string
  readonly host: string
  /** As `topic:partition`. */
  readonly places: readonly string[]
  readonly at: number
}

interface Membership extends Member {
  readonly host: Host
  readonly options: GroupOptions
  readonly group: Group
  /** When the group last heard of the member, and it of the group. */
  heardAt: number
  /** Whether the member has been told that others may have what it has. */
  isInDoubt: boolean
  /** What is told comes one after another. */
  telling: Promise<void>
  /** How often anything was to be told: only the last of it matters. */
  tellings: number
}

/**
 * The consumer groups, with the clients of the processes: who is not heard for a session is put out behind its back; who hears nothing for a
 * session is in doubt; both ask for what they had when they are heard again.
 */
export class Groups {
  readonly gifts: Gift[] = []
  readonly #around: Surroundings
  readonly #broker: MemoryBroker
  readonly #sessionMs: number
  readonly #groups = new Map<string, Group>()
  readonly #memberships = new Set<Membership>()
  #isOver = false

  constructor(around: Surroundings, broker: MemoryBroker, sessionMs: number) {
    this.#around = around
    this.#broker = broker
    this.#sessionMs = sessionMs
    this.#lookLater()
  }

  async join(host: Host, link: Link, options: GroupOptions, signal: AbortSignal): Promise<GroupMember> {
    let membership: Membership | undefined
    const enter = async (): Promise<void> => {
      membership = this.#create(host, options)
      this.#memberships.add(membership)
      membership.group.enter(membership)
    }
    const leave = (): void => {
      if (membership === undefined) return
      this.#memberships.delete(membership)
      membership.group.leave(membership)
    }
    try {
      await link.call(`join ${options.group}`, enter, signal)
    } catch (error) {
      leave()
      throw error
    }
    return {
      commit: (_positions, stop) => link.call(`commit-group ${options.group}`, async () => {}, stop),
      leave: async () => leave(),
    }
  }

  /** The group deals anew: a member is put out, forgets what it had, and comes in again. */
  shuffle(host: Host): void {
    for (const membership of this.#memberships) {
      if (membership.host !== host) continue
      this.#putOut(membership)
      membership.shards = []
    }
  }

  /** A process that stood still goes on: its client sees at once for how long it has heard nothing. */
  wake(host: Host): void {
    for (const membership of this.#memberships) if (membership.host === host) this.#doubtUnheard(membership)
  }

  stop(): void {
    this.#isOver = true
  }

  #create(host: Host, options: GroupOptions): Membership {
    const { clock } = this.#around
    const { group: name, topics } = options
    const partitions = topics.map((topic) => this.#broker.topics.get(topic)?.spec.partitions ?? 0)
    const group = this.#groups.get(name) ?? new Group(clock, Math.max(...partitions))
    this.#groups.set(name, group)
    const membership: Membership = {
      ...{ name: host.name, host, options, group, shards: [] },
      ...{ heardAt: clock.now, isInDoubt: false, telling: Promise.resolve(), tellings: 0 },
      tell: (shards) => {
        const telling = ++membership.tellings
        this.#note(membership, shards)
        membership.telling = membership.telling.then(() => this.#tell(membership, shards, telling))
        return membership.telling
      },
    }
    return membership
  }

  /** Keeps what the group gave: another one may not count on it any more, whether the process hears of its gift or not. */
  #note({ host, options: { group, topics } }: Membership, shards: readonly number[]): void {
    const places = topics.flatMap((topic) => shards.map((k) => `${topic}:${k}`))
    this.gifts.push({ group, host: host.name, places, at: this.#around.clock.now })
  }

  /** What the group tells reaches the process over its connection; where there is none, only the last of it does. */
  async #tell(membership: Membership, shards: readonly number[], telling: number): Promise<void> {
    const { clock, weather } = this.#around
    while (!weather.connects(membership.host)) {
      if (this.#isOver || membership.tellings !== telling) return
      await clock.pass(LOOK_MS)
    }
    await this.#hand(membership, shards)
  }

  /** The client of a process tells it what it has, as soon as that runs. */
  #hand(membership: Membership, shards: readonly number[]): Promise<void> {
    const { clock, trace } = this.#around
    const { host, options } = membership
    const { group, topics, onAssignment } = options
    const given = topics.flatMap((topic) => shards.map((partition) => ({ topic, partition })))
    return new Promise((resolve) => {
      clock.after(host, 0, () => {
        trace.add(host.name, `${group} gives ${shards.length === 0 ? 'nothing' : `shards ${shards}`}`)
        this.#note(membership, shards)
        onAssignment(given).then(resolve, resolve)
      })
    })
  }

  #doubt(membership: Membership): void {
    const { host, options } = membership
    membership.isInDoubt = true
    const { onDoubt, group } = options
    this.#around.trace.add(host.name, `${group} may have put it out`)
    if (onDoubt) this.#around.clock.after(host, 0, onDoubt)
    else {
      membership.tellings++
      membership.telling = membership.telling.then(() => this.#hand(membership, []))
    }
  }

  #putOut(membership: Membership): void {
    this.#around.trace.add('groups', `${membership.options.group} puts ${membership.host.name} out`)
    membership.group.leave(membership)
    if (membership.host.state === 'dead') this.#memberships.delete(membership)
  }

  #lookLater(): void {
    this.#around.clock.after(undefined, LOOK_MS, () => {
      if (this.#isOver) return
      for (const membership of [...this.#memberships]) this.#look(membership)
      this.#lookLater()
    })
  }

  #look(membership: Membership): void {
    const { clock, weather } = this.#around
    const { host, group } = membership
    if (weather.hears(host)) {
      membership.heardAt = clock.now
      if (!group.has(membership)) this.#takeIn(membership)
      else if (membership.isInDoubt) {
        membership.isInDoubt = false
        void membership.tell(membership.shards)
      }
      return
    }
    if (clock.now - membership.heardAt <= this.#sessionMs) return
    // A broker that is away puts nobody out.
    if (group.has(membership) && !weather.isGone('broker')) this.#putOut(membership)
    this.#doubtUnheard(membership)
  }

  #doubtUnheard(membership: Membership): void {
    const isUnheard = this.#around.clock.now - membership.heardAt > this.#sessionMs
    if (isUnheard && !membership.isInDoubt && membership.host.state === 'running') this.#doubt(membership)
  }

  #takeIn(membership: Membership): void {
    if (!membership.isInDoubt) this.#doubt(membership)
    membership.isInDoubt = false
    membership.group.enter(membership)
  }
}
