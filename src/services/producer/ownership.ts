import { GROUPS } from '../../control/names.ts'
import { CHANNELS, type Channel } from '../../domain/events.ts'
import { toTapelineError } from '../../errors.ts'
import type { GroupMember } from '../../ports/broker.ts'
import type { ProducerParts } from './parts.ts'
import { Routes } from './routes.ts'
import type { Shard } from './shard.ts'
import { type FormerOwnership, type TakenShard, takeOverShards } from './take-over.ts'

/** The shards of this process: those that the group gives it, as soon as they are taken over (R7, R8). */
export interface ShardOwnership {
  readonly shards: ReadonlyMap<number, Shard>
  readonly routes: Routes
  /** Whether the group gives this process any shard. */
  readonly assigned: boolean
  /** Whether the group gives it this shard. */
  isAssigned(k: number): boolean
  /** Takes over what the group gave and is not held; `onTaken` hears of each. Resolves at once where nothing is to be done. */
  ensure(onTaken: (taken: TakenShard) => void, signal: AbortSignal): Promise<void>
  /** The outcome of a write is unknown: the shards are taken over anew before the next one (R3). */
  doubt(ks: Iterable<number>): void
  /** Another process owns the shard now; it is claimed again only if the group gives it once more. */
  yieldTo(k: number): void
  close(): Promise<void>
}

export async function joinShards(parts: ProducerParts, signal: AbortSignal): Promise<ShardOwnership> {
  const { broker, registry, topics, log } = parts
  const shards = new Map<number, Shard>()
  const routes = new Routes(registry)
  const former = new Map<number, FormerOwnership>()
  let assigned = new Set<number>()

  const release = (k: number): Shard | undefined => {
    const shard = shards.get(k)
    shards.delete(k)
    return shard
  }

  const yieldTo = (k: number): void => {
    release(k)
    former.delete(k)
    assigned.delete(k)
    log.warn({ shard: k, code: 'FENCED' }, 'another process owns the shard now')
  }

  const member: GroupMember = await broker.joinGroup(
    {
      group: GROUPS.producers,
      topics: [topics.trade],
      onAssignment: async (partitions) => {
        assigned = new Set(partitions.map(({ partition }) => partition))
        for (const k of [...shards.keys()]) if (!assigned.has(k)) release(k)
        for (const k of [...former.keys()]) if (!assigned.has(k)) former.delete(k)
      },
    },
    signal,
  )

  return {
    shards,
    routes,
    get assigned() {
      return assigned.size > 0
    },
    isAssigned: (k) => assigned.has(k),
    async ensure(onTaken, stop) {
      const missing = [...assigned].filter((k) => !shards.has(k))
      if (missing.length > 0) {
        const taken = await takeOverShards(parts, missing, former, stop).catch((error: unknown) => {
          for (const { partition } of toTapelineError(error).partitions) yieldTo(partition)
          throw error
        })
        for (const each of taken) {
          const { k } = each.shard
          former.delete(k)
          if (!assigned.has(k)) continue
          shards.set(k, each.shard)
          routes.placeAll(each.shard)
          onTaken(each)
        }
        log.info({ shards: missing, epochs: taken.map(({ shard }) => shard.epoch) }, 'shards taken over')
      }
      routes.sync(shards.values())
    },
    doubt(ks) {
      for (const k of ks) {
        const shard = release(k)
        if (shard) former.set(k, { epoch: shard.epoch, expected: expectedOffsets(shard) })
      }
    },
    yieldTo,
    async close() {
      await member.leave()
      for (const shard of shards.values()) {
        await shard.ownership.writer.close().catch((error: unknown) => {
          log.debug({ shard: shard.k, code: toTapelineError(error).code }, 'a writer did not close')
        })
      }
    },
  }
}

function expectedOffsets(shard: Shard): Record<Channel, number> {
  return Object.fromEntries(CHANNELS.map((channel) => [channel, shard.tails[channel].expected])) as Record<
    Channel,
    number
  >
}
