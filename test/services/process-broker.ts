import { delay } from '../../src/async/timers.ts'
import { TapelineError } from '../../src/errors.ts'
import type {
  Broker,
  GroupMember,
  GroupOptions,
  Reader,
  TransactionalWriter,
} from '../../src/ports/broker.ts'

/** How long the group may take to give something. */
const NOTHING_MS = 20

interface Membership {
  readonly options: GroupOptions
  readonly signal: AbortSignal
  inner: GroupMember | undefined
}

/**
 * A broker as one of several processes sees it, over an embedded one that they share. It can be stopped, as by SIGSTOP: nothing
 * of the process goes on, and its groups take its partitions away behind its back. When it goes on, its calls do so where
 * they were, and the group gives it a new share. Killed, it never goes on.
 */
export class ProcessBroker implements Broker {
  readonly #broker: Broker
  readonly #memberships = new Set<Membership>()
  /** The offsets that its members told the group, by `topic:partition`. */
  readonly committed = new Map<string, number>()
  /** Every call is refused, as by a broker that is away. */
  isAway = false
  #freezing = Promise.withResolvers<void>()
  #stopped: Promise<void> | undefined
  #goOn: (() => void) | undefined
  /** Called in front of each publish; may wait, or throw instead of it. */
  beforePublish: (...call: Parameters<Broker['publish']>) => Promise<void> = async () => {}

  /** Called in front of each transaction; may wait, or throw instead of it. */
  beforeCommit: (...call: Parameters<TransactionalWriter['commit']>) => Promise<void> = async () => {}

  constructor(broker: Broker) {
    this.#broker = broker
  }

  /** The group notices at once, as if the session timeout had passed. */
  async freeze(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = new Promise((resolve) => {
      this.#goOn = resolve
    })
    this.#freezing.resolve()
    for (const membership of this.#memberships) {
      await membership.inner?.leave()
      membership.inner = undefined
    }
  }

  async thaw(): Promise<void> {
    if (this.#stopped === undefined) return
    this.#stopped = undefined
    this.#goOn?.()
    this.#freezing = Promise.withResolvers()
    for (const membership of this.#memberships) membership.inner = await this.#join(membership)
  }

  /** The broker is away for so long that the group forgets the process, which knows it. */
  async lose(): Promise<void> {
    this.isAway = true
    for (const membership of this.#memberships) {
      await membership.inner?.leave()
      membership.inner = undefined
      const { onAssignment, onDoubt = () => onAssignment([]) } = membership.options
      await onDoubt()
    }
  }

  /** The broker is back, and the group takes the process in again; where it has nothing for it, it says so. */
  async find(): Promise<void> {
    this.isAway = false
    for (const membership of this.#memberships) {
      const { options } = membership
      let isTold = false
      const onAssignment: GroupOptions['onAssignment'] = (partitions) => {
        isTold = true
        return options.onAssignment(partitions)
      }
      membership.inner = await this.#join({ ...membership, options: { ...options, onAssignment } })
      await delay(NOTHING_MS)
      if (!isTold) await options.onAssignment([])
    }
  }

  /** It never goes on. */
  async kill(): Promise<void> {
    await this.freeze()
    this.#memberships.clear()
  }

  /** What still waits in a process that was killed comes to an end, so that the test can. */
  bury(): void {
    this.isAway = true
    this.#stopped = undefined
    this.#goOn?.()
  }

  createTopics: Broker['createTopics'] = (...call) => this.#pass(() => this.#broker.createTopics(...call))
  deleteTopics: Broker['deleteTopics'] = (...call) => this.#pass(() => this.#broker.deleteTopics(...call))
  listTopics: Broker['listTopics'] = (...call) => this.#pass(() => this.#broker.listTopics(...call))
  describeTopics: Broker['describeTopics'] = (...call) =>
    this.#pass(() => this.#broker.describeTopics(...call))
  topicIds: Broker['topicIds'] = (...call) => this.#pass(() => this.#broker.topicIds(...call))
  offsetAt: Broker['offsetAt'] = (...call) => this.#pass(() => this.#broker.offsetAt(...call))

  publish: Broker['publish'] = (...call) =>
    this.#pass(async () => {
      await this.beforePublish(...call)
      return this.#pass(() => this.#broker.publish(...call))
    })

  takeOver: Broker['takeOver'] = async (...call) => {
    const inner = await this.#pass(() => this.#broker.takeOver(...call))
    const writer: TransactionalWriter = {
      commit: (...commit) =>
        this.#pass(async () => {
          await this.beforeCommit(...commit)
          return this.#pass(() => inner.commit(...commit))
        }),
      close: () => inner.close(),
    }
    return writer
  }

  openReader: Broker['openReader'] = async (...opening) => {
    const inner = await this.#pass(() => this.#broker.openReader(...opening))
    const reader: Reader = {
      assign: (...call) => this.#pass(() => inner.assign(...call)),
      unassign: (...call) => this.#pass(() => inner.unassign(...call)),
      poll: (...call) => this.#pass(() => inner.poll(...call)),
      close: (...call) => inner.close(...call),
    }
    return reader
  }

  joinGroup: Broker['joinGroup'] = async (options, signal) => {
    const membership: Membership = { options, signal, inner: undefined }
    membership.inner = await this.#join(membership)
    this.#memberships.add(membership)
    return {
      commit: (positions, commitSignal) =>
        this.#pass(async () => {
          await membership.inner?.commit(positions, commitSignal)
          for (const { topic, partition, offset } of positions)
            this.committed.set(`${topic}:${partition}`, offset)
        }),
      leave: async () => {
        this.#memberships.delete(membership)
        await membership.inner?.leave()
      },
    }
  }

  ping: Broker['ping'] = (...call) => this.#pass(() => this.#broker.ping(...call))

  /** The broker belongs to all processes. */
  async close(): Promise<void> {}

  #join({ options, signal }: Membership): Promise<GroupMember> {
    const freezing = this.#freezing.promise
    // The group does not wait for a process that stands still.
    const onAssignment: GroupOptions['onAssignment'] = (partitions) =>
      Promise.race([options.onAssignment(partitions), freezing])
    return this.#broker.joinGroup({ ...options, onAssignment }, signal)
  }

  async #pass<T>(call: () => Promise<T>): Promise<T> {
    while (this.#stopped) await this.#stopped
    if (this.isAway) throw new TapelineError('BROKER_UNAVAILABLE', 'the broker is away')
    try {
      return await call()
    } finally {
      while (this.#stopped) await this.#stopped
    }
  }
}
