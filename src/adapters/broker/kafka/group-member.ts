import { setTimeout as delay } from 'node:timers/promises'
import { Consumer, type GroupPartitionsAssigner } from '@platformatic/kafka'
import { isAbort } from '../../../errors.ts'
import type { GroupMember, GroupOptions, ReadPosition } from '../../../ports/broker.ts'
import { brokerError } from './errors.ts'
import { clientOptions, type KafkaSettings } from './settings.ts'

type TopicPartition = Parameters<GroupOptions['onAssignment']>[0][number]

/** A member that the group has not heard of for so long has lost its partitions. */
const SESSION_MS = 6_000
const HEARTBEAT_MS = 500
const REBALANCE_MS = 10_000
const LOOK_EVERY_MS = 250
const REJOIN_MS = 200
/** A heartbeat may fail so long before the client is made anew. */
const STALLED_MS = 2 * SESSION_MS

/**
 * One member of a classic consumer group, by the library's own joining and heartbeats, without its stream: positions are the
 * caller's. When the library gives up, or has not been heard for too long, a new client joins; until then the member has
 * nothing, as far as it can know.
 */
export class KafkaGroupMember implements GroupMember {
  readonly #settings: KafkaSettings
  readonly #options: GroupOptions
  readonly #closing = new AbortController()
  readonly #running: Promise<void>
  readonly #joined = Promise.withResolvers<void>()
  #consumer: Consumer | undefined
  #told = ''
  #telling: Promise<void> = Promise.resolve()

  constructor(settings: KafkaSettings, options: GroupOptions) {
    this.#settings = settings
    this.#options = options
    this.#running = this.#stay()
  }

  /** Resolves when the group has taken the member in; rejects when the signal aborts, which ends it. */
  async ready(signal: AbortSignal): Promise<void> {
    const onAbort = (): void => this.#joined.reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await this.#joined.promise
    } catch (error) {
      await this.leave()
      throw error
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  async commit(positions: readonly ReadPosition[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const consumer = this.#consumer
    if (consumer?.memberId == null) return
    const own = new Set(
      (consumer.assignments ?? []).flatMap(({ topic, partitions }) => partitions.map((k) => `${topic}:${k}`)),
    )
    const offsets = positions
      .filter(({ topic, partition }) => own.has(`${topic}:${partition}`))
      .map(({ topic, partition, offset }) => ({ topic, partition, offset: BigInt(offset), leaderEpoch: -1 }))
    if (offsets.length === 0) return
    try {
      await consumer.commit({ offsets })
    } catch (error) {
      // For tools only, and often just a rebalance: the next one tells the same.
      this.#settings.log.debug(
        { group: this.#options.group, code: brokerError(error, '').code },
        'positions were not told to the group',
      )
    }
  }

  async leave(): Promise<void> {
    this.#closing.abort()
    await this.#running
    await this.#telling
  }

  /** Joins, and joins again, until it leaves. */
  async #stay(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const consumer = this.#createConsumer()
      try {
        await this.#takePart(consumer)
      } catch (thrown) {
        if (!isAbort(thrown)) {
          const error = brokerError(thrown, 'the group was left')
          this.#settings.log.warn(
            { group: this.#options.group, code: error.code, reason: error.message },
            'joining the group again',
          )
          if (!error.retryable) this.#joined.reject(error)
        }
      }
      this.#consumer = undefined
      if (!this.#closing.signal.aborted) this.#tell([])
      await leaveQuietly(consumer)
      await delay(REJOIN_MS, undefined, { signal: this.#closing.signal }).catch(() => undefined)
    }
  }

  async #takePart(consumer: Consumer): Promise<void> {
    const { signal } = this.#closing
    const failed = Promise.withResolvers<never>()
    failed.promise.catch(() => undefined)
    let heard = performance.now()
    consumer.on('consumer:heartbeat:end', () => {
      heard = performance.now()
    })
    consumer.on('consumer:group:join', () => {
      heard = performance.now()
      this.#tellAssignment(consumer)
    })
    consumer.on('error', (error: Error) => failed.reject(error))
    await Promise.race([consumer.joinGroup({}), failed.promise, aborted(signal)])
    this.#consumer = consumer
    this.#joined.resolve()
    this.#tellAssignment(consumer)
    for (;;) {
      await Promise.race([delay(LOOK_EVERY_MS, undefined, { signal }), failed.promise])
      const silentMs = performance.now() - heard
      if (silentMs > SESSION_MS) this.#tell([])
      else this.#tellAssignment(consumer)
      if (silentMs > STALLED_MS) throw new Error(`no heartbeat was answered for ${Math.round(silentMs)} ms`)
    }
  }

  #createConsumer(): Consumer {
    const consumer = new Consumer({
      ...clientOptions(this.#settings),
      groupId: this.#options.group,
      sessionTimeout: SESSION_MS,
      rebalanceTimeout: REBALANCE_MS,
      heartbeatInterval: HEARTBEAT_MS,
      partitionAssigner: assignByNumber,
      autocommit: false,
      // Without retries a commit that comes late does not make the whole group join again.
      retries: 0,
      retryDelay: REJOIN_MS,
    })
    consumer.topics.trackAll(...this.#options.topics)
    return consumer
  }

  #tellAssignment(consumer: Consumer): void {
    const partitions = (consumer.assignments ?? []).flatMap(({ topic, partitions: numbers }) =>
      numbers.map((partition) => ({ topic, partition })),
    )
    this.#tell(partitions)
  }

  /** Hands an assignment on when it has changed; one after the other. */
  #tell(partitions: readonly TopicPartition[]): void {
    const sorted = partitions.toSorted((a, b) => a.topic.localeCompare(b.topic) || a.partition - b.partition)
    const key = JSON.stringify(sorted)
    if (key === this.#told || (this.#told === '' && sorted.length === 0)) return
    this.#told = key
    this.#telling = this.#telling.then(async () => {
      if (this.#closing.signal.aborted) return
      try {
        await this.#options.onAssignment(sorted)
      } catch (error) {
        this.#settings.log.error(
          { group: this.#options.group, err: error },
          'a member of a group failed to take its partitions over',
        )
      }
    })
  }
}

/** Partition k of every topic goes to the same member, so that the partitions of a shard stay together. */
const assignByNumber: GroupPartitionsAssigner = (_current, members, topics, metadata) => {
  const ids = [...members.keys()].sort()
  const assigned = ids.map((memberId) => ({
    memberId,
    assignments: new Map<string, { topic: string; partitions: number[] }>(),
  }))
  for (const topic of topics) {
    const count = metadata.topics.get(topic)?.partitionsCount ?? 0
    for (let partition = 0; partition < count; partition++) {
      const { assignments } = assigned[partition % assigned.length] as (typeof assigned)[number]
      const own = assignments.get(topic) ?? { topic, partitions: [] }
      own.partitions.push(partition)
      assignments.set(topic, own)
    }
  }
  return assigned
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

async function leaveQuietly(consumer: Consumer): Promise<void> {
  try {
    await consumer.close(true)
  } catch {
    // The group notices by itself when its session has passed.
  }
}
