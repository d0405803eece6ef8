import { withDeadline } from '../../control/deadline.ts'
import { CHANNELS, type Channel } from '../../domain/events.ts'
import { TapelineError, toTapelineError } from '../../errors.ts'
import type { GroupMember } from '../../ports/broker.ts'
import { Assignment } from '../assignment.ts'
import type { LostEnds } from './lost-logs.ts'
import type { ProducerParts } from './parts.ts'
import { Routes } from './routes.ts'
import type { Shard } from './shard.ts'
import { type FormerOwnership, type TakenShard, takeOverShards } from './take-over.ts'

/** How long taking shards over may take: a tail of some seconds is read, and epochs are claimed one by one. */
const TAKE_OVER_TIMEOUT_MS = 60_000

/** Who hears of shards that come and go. */
interface ShardListener {
  /** A shard was taken over; `isResumed` where others may have written in the meantime, or this process did not run. */
  taken(taken: TakenShard, isResumed: boolean): void
  /** The group gives the shard to another process. Called while it is still owned; what is written last may be refused already. */
  lost(shard: Shard): Promise<void>
  /** The shard is not this process's any more, whatever the reason. */
  left(k: number): void
  /** The group has said which shards are this process's. */
  assigned(): void
}

/** The shards of this process: those that the group gives it, as soon as they are taken over (R7, R8). */
export interface ShardOwnership {
  readonly shards: ReadonlyMap<number, Shard>
  readonly routes: Routes
  /** Whether there is any shard that events may be for. */
  readonly assigned: boolean
  /** Whether the group gives it this shard. */
  isAssigned(k: number): boolean
  /**
   * Whether there are shards of which nobody knows at present whether they are still its own, as while the broker is away: what is in
   * hand waits.
   */
  readonly isSuspended: boolean
  /** From now on tells of what comes and goes; one listener. */
  listen(listener: ShardListener): void
  /** Takes over what the group gave and is not held. Resolves at once where nothing is to be done. */
  ensure(signal: AbortSignal): Promise<void>
  /** The outcome of a write is unknown: the shards are taken over anew before the next one (R3). */
  doubt(ks: Iterable<number>): void
  /** A log has lost its end from an offset on, or was made anew: taking the shard over tells what is there. */
  loseEnd(k: number, channel: Channel, offset: number): void
  /**
   * The broker refuses what this process writes as the shard's owner. As a rule another one has taken it over; it may also have been a
   * take-over of this one's own that came late. What is in hand is kept until the group gives the shard away, or the log tells who wrote.
   */
  refused(k: number): void
  /** Another process owns the shard now; it is claimed again only if the group gives it once more. */
  yieldTo(k: number): void
  close(): Promise<void>
}

export async function joinShards(parts: ProducerParts, signal: AbortSignal): Promise<ShardOwnership> {
  const { broker, names, registry, topics, now, log } = parts
  const shards = new Map<number, Shard>()
  const routes = new Routes(registry, now, shards)
  /**
   * Shards that are in doubt: they were this process's, and are again as soon as they are taken over anew, or the group gives them to
   * another. However long that takes, what is in hand is kept, and the source goes on delivering into its queue.
   */
  const former = new Map<number, FormerOwnership>()
  /** Of shards whose logs have lost their ends since they were taken over. */
  const lostEnds = new Map<number, LostEnds>()
  /** In which generation of the assignment each shard was taken over. */
  const takenIn = new Map<number, number>()
  const assignment = new Assignment(now)
  /** Shards with a checkpoint that is not understood. */
  const leftToNewer = new Set<number>()
  /** Ends the take-over under way. */
  let claiming: AbortController | undefined
  let listener: ShardListener = { taken() {}, async lost() {}, left() {}, assigned() {} }

  const isAssigned = (k: number): boolean => assignment.has(topics.trade, k)

  const closeWriter = async ({ k, ownership }: Shard): Promise<void> => {
    await ownership.writer.close().catch((error: unknown) => {
      log.debug({ shard: k, code: toTapelineError(error).code }, 'a writer did not close')
    })
  }

  const release = (k: number): Shard | undefined => {
    const shard = shards.get(k)
    shards.delete(k)
    return shard
  }

  /** The shard goes: nothing of it is derived or fetched here any more. */
  const leave = (k: number): Shard | undefined => {
    former.delete(k)
    lostEnds.delete(k)
    routes.leaveShard(k)
    listener.left(k)
    return release(k)
  }

  const yieldTo = (k: number): void => {
    assignment.yield({ topic: topics.trade, partition: k }, takenIn.get(k) ?? -1)
    log.warn({ shard: k, code: 'FENCED' }, 'another process owns the shard now')
    const shard = leave(k)
    if (shard) void closeWriter(shard)
  }

  /** A newer version owned the shard: it is left alone, and looked at again after a while (R23). */
  const leaveToNewer = (k: number, reason: string): void => {
    assignment.yield({ topic: topics.trade, partition: k }, takenIn.get(k) ?? -1)
    leftToNewer.add(k)
    parts.alerts.raise(`shard:${k}`, 'UPGRADE_NEEDED', reason)
    leave(k)
  }

  /** The shard is another's, or understood by now. */
  const understand = (k: number): void => {
    if (leftToNewer.delete(k)) parts.alerts.clear(`shard:${k}`)
  }

  const doubt = (ks: Iterable<number>): void => {
    for (const k of ks) {
      const shard = release(k)
      if (shard === undefined) continue
      const expected = expectedOffsets(shard)
      former.set(k, {
        ...{ epoch: shard.epoch, expected, claimed: new Set() },
        lostFrom: lostEnds.get(k) ?? {},
      })
      void closeWriter(shard)
    }
  }

  const loseEnd = (k: number, channel: Channel, offset: number): void => {
    log.error({ shard: k, topic: topics[channel], offset }, 'a fixed topic is shorter than it was')
    const lostFrom = { ...lostEnds.get(k), [channel]: offset }
    const inDoubt = former.get(k)
    if (inDoubt !== undefined) former.set(k, { ...inDoubt, lostFrom })
    else if (!shards.has(k)) return
    lostEnds.set(k, lostFrom)
    doubt([k])
  }

  const refused = (k: number): void => {
    if (!shards.has(k) && !former.has(k)) {
      yieldTo(k)
      return
    }
    assignment.yield({ topic: topics.trade, partition: k }, takenIn.get(k) ?? -1)
    log.warn(
      { shard: k, code: 'FENCED' },
      'the shard was taken over; it rests until the group says whose it is',
    )
    doubt([k])
  }

  /** The group gives a shard to another process. */
  const giveAway = async (k: number): Promise<void> => {
    const shard = shards.get(k)
    // It takes what it needs at once; from then on nothing is published or derived.
    const lost = shard && listener.lost(shard)
    leave(k)
    await lost
    if (shard) await closeWriter(shard)
  }

  const member: GroupMember = await broker.joinGroup(
    {
      group: names.groups.producers,
      topics: [topics.trade],
      onAssignment: async (partitions) => {
        const wasInDoubt = assignment.isInDoubt
        const lost = assignment.set(partitions)
        const given = new Set(partitions.map(({ partition }) => partition))
        for (const k of leftToNewer) if (!given.has(k)) understand(k)
        await Promise.all(lost.map(({ partition }) => giveAway(partition)))
        // What is kept may have been another's for a while: taking it over tells.
        if (wasInDoubt) doubt([...shards.keys()])
        listener.assigned()
      },
      onDoubt: () => {
        assignment.doubt()
        // What others may have by now is not taken from them.
        claiming?.abort(
          new TapelineError('BROKER_UNAVAILABLE', 'the group may have given the shards to others'),
        )
      },
    },
    signal,
  )

  const takeOver = async (missing: readonly number[], stop: AbortSignal): Promise<void> => {
    const { generation } = assignment
    claiming = new AbortController()
    const { taken, fenced, unreadable } = await withDeadline(
      AbortSignal.any([stop, claiming.signal]),
      TAKE_OVER_TIMEOUT_MS,
      (deadline) => takeOverShards(parts, missing, former, deadline),
    )
    claiming = undefined
    for (const k of missing) takenIn.set(k, generation)
    for (const k of fenced) refused(k)
    for (const [k, reason] of unreadable) leaveToNewer(k, reason)
    for (const each of taken) {
      const { shard } = each
      const isResumed = !former.has(shard.k) || each.isInterrupted
      former.delete(shard.k)
      lostEnds.delete(shard.k)
      // The group may have moved on in the meantime; in doubt the shard is kept.
      if (!isAssigned(shard.k) && !assignment.isInDoubt) {
        void closeWriter(shard)
        continue
      }
      shards.set(shard.k, shard)
      understand(shard.k)
      routes.placeAll(shard)
      listener.taken(each, isResumed)
    }
    log.info({ shards: missing, epochs: taken.map(({ shard }) => shard.epoch) }, 'shards taken over')
  }

  return {
    shards,
    routes,
    get assigned() {
      return shards.size > 0 || former.size > 0 || assignment.list().length > 0
    },
    isAssigned,
    get isSuspended() {
      return former.size > 0
    },
    listen(given) {
      listener = given
    },
    async ensure(stop) {
      const missing = assignment.list().flatMap(({ partition }) => (shards.has(partition) ? [] : partition))
      if (missing.length > 0) await takeOver(missing, stop)
      routes.sync(shards.values())
    },
    doubt,
    loseEnd,
    refused,
    yieldTo,
    async close() {
      await member.leave()
      await Promise.all([...shards.values()].map(closeWriter))
    },
  }
}

function expectedOffsets(shard: Shard): Record<Channel, number> {
  return Object.fromEntries(CHANNELS.map((channel) => [channel, shard.tails[channel].expected])) as Record<
    Channel,
    number
  >
}
