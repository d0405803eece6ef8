import { copyMemory, type ReaderMemory } from '../../domain/reader-rules.ts'
import { toTapelineError } from '../../errors.ts'
import type { GroupMember, Reader } from '../../ports/broker.ts'
import type { Claim } from '../../ports/store.ts'
import type { ConsumerFixedParts } from './parts.ts'

const GROUP = 'tapeline.consumers-fixed'

/** The partitions that this process stores, each under a claim in the database (R8). */
export interface Claims {
  /** The reader, at the database's offsets; claims first what the group gave and is not held. */
  reader(signal: AbortSignal): Promise<Reader>
  get(topic: string, partition: number): Claim | undefined
  /** What a reader remembers behind everything that was handed out of a partition. */
  memory(claim: Claim): ReaderMemory
  /** Takes note of claims that a write has advanced. */
  advance(claims: readonly Claim[]): void
  /** The outcome of a write is unknown, or a batch was given up: everything is claimed anew. */
  doubt(): void
  /** Other processes store these now; they are claimed again only if the group gives them once more. */
  yieldTo(partitions: readonly { readonly topic: string; readonly partition: number }[]): void
  /** Tells the usual tools how far this process is. */
  commit(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

export async function joinFixedTopics(parts: ConsumerFixedParts, signal: AbortSignal): Promise<Claims> {
  const { broker, store, log } = parts
  const keyOf = (topic: string, partition: number): string => `${topic}:${partition}`
  const claims = new Map<string, Claim>()
  let assigned = new Map<string, { readonly topic: string; readonly partition: number }>()
  let reader: Reader | undefined

  const member: GroupMember = await broker.joinGroup(
    {
      group: GROUP,
      topics: Object.values(parts.topics),
      onAssignment: async (partitions) => {
        assigned = new Map(partitions.map((each) => [keyOf(each.topic, each.partition), each]))
        for (const [key, claim] of claims) {
          if (assigned.has(key)) continue
          claims.delete(key)
          await reader?.unassign([claim])
        }
      },
    },
    signal,
  )

  const claimMissing = async (stop: AbortSignal): Promise<void> => {
    const missing = [...assigned.entries()].filter(([key]) => !claims.has(key)).map(([, target]) => target)
    if (missing.length === 0) return
    const topics = new Map((await broker.listTopics('', stop)).map((topic) => [topic.name, topic]))
    const targets = missing.flatMap(({ topic, partition }) => {
      const topicId = topics.get(topic)?.id
      return topicId === undefined ? [] : [{ topic, topicId, partition }]
    })
    const taken = await store.claim(targets, stop)
    await reader?.assign(
      taken.map(({ topic, partition, nextOffset }) => ({ topic, partition, offset: nextOffset })),
    )
    for (const claim of taken) claims.set(keyOf(claim.topic, claim.partition), claim)
    log.info({ partitions: taken.length }, 'partitions claimed in the database')
  }

  return {
    async reader(stop) {
      reader ??= await broker.openReader()
      await claimMissing(stop)
      return reader
    },
    get: (topic, partition) => claims.get(keyOf(topic, partition)),
    memory: (claim) => copyMemory(claim.memory),
    advance(advanced) {
      for (const claim of advanced) {
        const key = keyOf(claim.topic, claim.partition)
        if (claims.has(key)) claims.set(key, claim)
      }
    },
    doubt() {
      claims.clear()
    },
    yieldTo(partitions) {
      for (const { topic, partition } of partitions) {
        log.warn({ topic, partition, code: 'FENCED' }, 'another process stores the partition now')
        assigned.delete(keyOf(topic, partition))
      }
      claims.clear()
    },
    async commit(stop) {
      const positions = [...claims.values()].map(({ topic, partition, nextOffset }) => ({
        topic,
        partition,
        offset: nextOffset,
      }))
      await member.commit(positions, stop).catch((error: unknown) => {
        log.debug({ code: toTapelineError(error).code }, 'the group offsets were not written')
      })
    },
    async close() {
      await reader?.close()
      await member.leave()
    },
  }
}
