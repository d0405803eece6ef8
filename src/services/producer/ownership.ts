import { withDeadline } from '../../async/deadline.ts'
import { CHANNELS, type Channel } from '../../domain/events.ts'
import { toTapelineError } from '../../errors.ts'
import { type Claiming, Holding } from '../holding/holding.ts'
import type { LostEnds } from './lost-logs.ts'
import type { ProducerParts } from './parts.ts'
import { Routes } from './routes.ts'
import type { Shard } from './shard.ts'
import { type TakenShard, takeOverShards } from './take-over.ts'
import type { FormerOwnership } from './taking.ts'

/** How long taking shards over may take: a tail of some seconds is read, and epochs are claimed one by one. */
const TAKE_OVER_TIMEOUT_MS = 60_000

/** Who hears of shards that come and go. */
interface ShardListener {
  /** This process took a shard over. `mayHaveMissed`: others may have written in between, or this process did not run. */
  taken(taken: TakenShard, mayHaveMissed: boolean): void
  /** The group gives the shard to another process. This one still owns it, but the broker may refuse its last write already. */
  lost(shard: Shard): Promise<void>
  /** This process does not own the shard any more, whatever the reason. */
  left(k: number): void
  /** The group has said which shards it gives to this process. */
  assigned(): void
}

/** The shards of this process: those that the group gives it and that it has taken over (R7, R8). */
export interface ShardOwnership {
  readonly shards: ReadonlyMap<number, Shard>
  readonly routes: Routes
  /** Whether there is any shard that events may be for. */
  readonly assigned: boolean
  /** Whether the group gives it this shard. */
  isAssigned(k: number): boolean
  /**
   * Whether nobody knows of some shard if it is still this process's, as while the broker is away: what is in hand waits.
   */
  readonly isSuspended: boolean
  /** Tells one listener of shards that come and go, from now on. */
  listen(listener: ShardListener): void
  /** Takes over what the group gives and this process does not hold. Resolves at once where nothing is to be done. */
  ensure(signal: AbortSignal): Promise<void>
  /** As `Holding.doubt`: this process takes the shards over anew before the next write (R3). */
  doubt(ks: Iterable<number>): void
  /** A log has lost its end from an offset on, or was made anew: a take-over tells what is there. */
  loseEnd(k: number, channel: Channel, offset: number): void
  /** As `Holding.refuse`: keeps what is in hand until the group gives the shard away, or the log tells who wrote. */
  refuse(k: number): void
  /** As `Holding.yield`: another process wrote. */
  yield(k: number): void
  close(): Promise<void>
}

export async function joinShards(producer: ProducerParts, signal: AbortSignal): Promise<ShardOwnership> {
  const { broker, names, registry, topics, now, log } = producer
  /** Shards with a checkpoint that this process does not understand. */
  const leftToNewer = new Set<number>()
  /** The first lost offset of each log that has lost its end, by shard. It is kept also of a shard that goes: nobody else may know. */
  const seenLost = new Map<number, LostEnds>()
  let listener: ShardListener = { taken() {}, async lost() {}, left() {}, assigned() {} }

  const closeWriter = async ({ k, ownership }: Shard): Promise<void> => {
    await ownership.writer.close().catch((error: unknown) => {
      log.debug({ shard: k, code: toTapelineError(error).code }, 'a writer did not close')
    })
  }

  /** The shard is another process's, or this one understands its checkpoint by now. */
  const understand = (k: number): void => {
    if (leftToNewer.delete(k)) producer.alerts.clear(`shard:${k}`)
  }

  const holding = new Holding<number, Shard, FormerOwnership>({
    ...{ broker, group: names.groups.producers, topics: [topics.trade], now },
    keyOf: ({ partition }) => partition,
    // What is in hand is kept however long the doubt takes. The source goes on filling its queue.
    outlastsOutages: true,
    remember: formerOwnership,
    async release(shard, next) {
      if (next === 'unowned') await listener.lost(shard)
      await closeWriter(shard)
    },
    left({ partition: k }, next) {
      if (next === 'unowned') understand(k)
      routes.leaveShard(k)
      listener.left(k)
    },
    assigned: () => listener.assigned(),
  })
  const shards = holding.held
  const routes = new Routes(registry, now, shards)
  await holding.join(signal)

  const takeOver = async (claiming: Claiming<number, Shard>): Promise<void> => {
    const ks = claiming.partitions.map(({ partition }) => partition)
    const { taken, fenced, unreadable } = await withDeadline(
      claiming.signal,
      TAKE_OVER_TIMEOUT_MS,
      (deadline) => takeOverShards(producer, ks, { former: holding.doubted, seenLost }, deadline),
    )
    for (const k of fenced) {
      warnOfRest(k)
      claiming.refuse(k)
    }
    for (const [k, reason] of unreadable) {
      // A newer version owned the shard: this process leaves it, and looks again after a while (R23).
      leftToNewer.add(k)
      producer.alerts.raise(`shard:${k}`, 'UPGRADE_NEEDED', reason)
      claiming.yield(k)
    }
    for (const each of taken) {
      const { shard } = each
      const mayHaveMissed = each.isInterrupted || !holding.doubted.has(shard.k)
      if (!claiming.succeed(shard.k, shard)) {
        void closeWriter(shard)
        continue
      }
      understand(shard.k)
      seenLost.delete(shard.k)
      if (mayHaveMissed) shard.tails.book.books?.doubtAll()
      routes.placeAll(shard)
      listener.taken(each, mayHaveMissed)
    }
    log.info({ shards: ks, epochs: taken.map(({ shard }) => shard.epoch) }, 'shards taken over')
  }

  const warnOfRest = (k: number): void =>
    log.warn(
      { shard: k, code: 'FENCED' },
      'the shard was taken over; it rests until the group says whose it is',
    )

  return {
    shards,
    routes,
    get assigned() {
      return shards.size + holding.doubted.size + holding.due.length > 0
    },
    isAssigned: (k) => holding.has(k),
    get isSuspended() {
      return holding.doubted.size > 0
    },
    listen(given) {
      listener = given
    },
    async ensure(stop) {
      await holding.claim(stop, takeOver)
      routes.sync(shards.values())
    },
    doubt(ks) {
      for (const k of ks) holding.doubt(k)
    },
    loseEnd(k, channel, offset) {
      log.error({ shard: k, topic: topics[channel], offset }, 'a fixed topic is shorter than it was')
      const known = seenLost.get(k)
      seenLost.set(k, { ...known, [channel]: Math.min(known?.[channel] ?? offset, offset) })
      holding.doubt(k)
    },
    refuse(k) {
      warnOfRest(k)
      holding.refuse(k)
    },
    yield(k) {
      log.warn({ shard: k, code: 'FENCED' }, 'another process owns the shard now')
      holding.yield(k)
    },
    close: () => holding.leave(),
  }
}

function formerOwnership(shard: Shard): FormerOwnership {
  const expected = Object.fromEntries(CHANNELS.map((channel) => [channel, shard.tails[channel].expected]))
  return {
    epoch: shard.epoch,
    expected: expected as Record<Channel, number>,
    claimed: new Set(),
  }
}
