import type { GroupMember, GroupOptions } from '../../src/ports/broker.ts'
import { type Host, runAs } from './clock.ts'
import type { Link, Surroundings } from './link.ts'
import type { MemoryBroker } from './memory-broker.ts'

/** How often the group looks who is there. */
const LOOK_MS = 500

const NEVER = new AbortController().signal

/** What a group gave a process. */
export interface Gift {
  readonly group: string
  readonly host: string
  /** As `topic:partition`. */
  readonly places: readonly string[]
  readonly at: number
}

interface Membership {
  readonly host: Host
  readonly options: GroupOptions
  inner: GroupMember | undefined
  /** When the coordinator of the group last heard of the member. */
  heardAt: number
  /** Whether the member has been told that it has nothing, since the group may have given it up. */
  isGivenUp: boolean
  hasLeft: boolean
}

/**
 * The consumer groups, as the processes' clients keep their membership: who is not heard for a session is put out and loses its
 * partitions behind its back; who hears nothing for a session gives them up by itself; both are taken in again.
 */
export class Groups {
  readonly #around: Surroundings
  readonly #inner: MemoryBroker
  readonly #sessionMs: number
  readonly #memberships = new Set<Membership>()
  readonly gifts: Gift[] = []
  #isOver = false

  constructor(around: Surroundings, inner: MemoryBroker, sessionMs: number) {
    this.#around = around
    this.#inner = inner
    this.#sessionMs = sessionMs
    this.#lookLater()
  }

  async join(host: Host, link: Link, options: GroupOptions, signal: AbortSignal): Promise<GroupMember> {
    const { clock } = this.#around
    const membership: Membership = {
      ...{ host, options: this.#ofHost(host, options), inner: undefined },
      ...{ heardAt: clock.now, isGivenUp: false, hasLeft: false },
    }
    await link.call(`join ${options.group}`, () => this.#enter(membership), signal)
    return {
      commit: (positions, stop) =>
        link.call(
          `commit-group ${options.group}`,
          async () => membership.inner?.commit(positions, stop),
          stop,
        ),
      leave: async () => {
        membership.hasLeft = true
        this.#memberships.delete(membership)
        await runAs(undefined, async () => membership.inner?.leave())
      },
    }
  }

  /** The group deals anew: a member is put out and comes in again. */
  shuffle(host: Host): void {
    for (const membership of this.#memberships) if (membership.host === host) this.#putOut(membership)
  }

  stop(): void {
    this.#isOver = true
  }

  /** What the group tells reaches the process when it runs. */
  #ofHost(host: Host, options: GroupOptions): GroupOptions {
    const { clock, trace } = this.#around
    return {
      ...options,
      onAssignment: (partitions) =>
        new Promise((resolve) => {
          clock.after(host, 0, () => {
            const places = partitions.map(({ topic, partition }) => `${topic}:${partition}`)
            trace.add(host.name, `${options.group} gives ${places}`)
            this.gifts.push({ group: options.group, host: host.name, places, at: clock.now })
            options.onAssignment(partitions).then(resolve, resolve)
          })
        }),
    }
  }

  async #enter(membership: Membership): Promise<void> {
    this.#memberships.add(membership)
    membership.heardAt = this.#around.clock.now
    membership.isGivenUp = false
    membership.inner = await this.#inner.joinGroup(membership.options, NEVER)
  }

  #putOut(membership: Membership): void {
    this.#around.trace.add('groups', `${membership.options.group} puts ${membership.host.name} out`)
    void membership.inner?.leave()
    membership.inner = undefined
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
    const { host } = membership
    if (weather.hears(host)) {
      membership.heardAt = clock.now
      if (membership.isGivenUp && membership.inner !== undefined) this.#putOut(membership)
      if (membership.inner === undefined) void this.#takeIn(membership)
      return
    }
    if (clock.now - membership.heardAt <= this.#sessionMs) return
    // A broker that is away counts nobody out; it does so when it is back, if nothing is heard of the member then.
    if (membership.inner !== undefined && !weather.isGone('broker')) this.#putOut(membership)
    if (membership.isGivenUp || host.state !== 'running') return
    membership.isGivenUp = true
    void membership.options.onAssignment([])
  }

  /** The member hears first that it has nothing any more, then what it is given. */
  async #takeIn(membership: Membership): Promise<void> {
    const told = membership.isGivenUp ? undefined : membership.options.onAssignment([])
    membership.isGivenUp = false
    await told
    if (!membership.hasLeft && membership.inner === undefined) await this.#enter(membership)
  }
}
