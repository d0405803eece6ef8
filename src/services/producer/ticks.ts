import { CHANNELS, type Channel } from '../../domain/events.ts'
import { tickBody } from '../../domain/fixed-markers.ts'
import type { PartitionRecords } from '../../ports/broker.ts'
import type { SourceItem } from '../../ports/source.ts'
import type { ProducerParts } from './parts.ts'
import type { Route } from './route.ts'
import type { Routes } from './routes.ts'
import type { Shard } from './shard.ts'

/** How often it looks for windows that nothing closes, where there are any. */
export const LOOK_EVERY_MS = 50
/** After a longer time without a look the process stood still: what came meanwhile may still wait to be read. */
const LONGEST_LOOK_MS = 100
/** How long a window that could be closed waits for an event that closes it, in microseconds (R21). */
const QUIET_MICROS = 250_000

/** A marker that says how late it is, on its way into a fixed partition. */
interface DueTick {
  readonly shard: Shard
  readonly channel: Channel
  /** Microseconds. */
  readonly tick: number
  readonly records: PartitionRecords
}

interface Ticks {
  /** Takes note of what the source gives. While it is away, what it misses may still come: nothing is late then. */
  follow(items: readonly SourceItem[]): void
  due(): readonly DueTick[]
}

/**
 * Finds where nothing comes that closes the open windows of streams (R21). How late it is follows from the last event and the time since it came:
 * so events of yesterday, or of an exchange whose clock is wrong, have their own time.
 */
export function createTicks(
  { topics, now, markets }: Pick<ProducerParts, 'topics' | 'now' | 'markets'>,
  shards: ReadonlyMap<number, Shard>,
  routes: Routes,
): Ticks {
  let lookedAt = Number.NEGATIVE_INFINITY
  /** A source that gives what it has needs no connection first. */
  let isAway = markets.length > 0

  const dueIn = (
    shard: Shard,
    channel: Channel,
    streams: readonly Route[],
    passedMs: number,
  ): DueTick | undefined => {
    const windows = streams.flatMap(({ progress }) => {
      const own = progress.get(shard.k)
      return own?.windows === undefined || own.behind !== undefined ? [] : own.windows
    })
    if (windows.length === 0) return undefined
    const { clock } = shard.tails[channel]
    clock.quietMs += passedMs
    const time = clock.time < 0 ? Math.max(...windows.map(({ latest }) => latest)) : clock.time
    const tick = time + Math.floor(clock.quietMs * 1_000)
    const limit = tick - QUIET_MICROS
    const isDue = windows.some((each) => {
      const dueAt = each.dueBefore(limit)
      // After a tick that closes it the window only waits for its turn.
      return dueAt < limit && clock.ticked < dueAt
    })
    if (!isDue) return undefined
    const record = { key: null, value: tickBody(tick), headers: shard.markerHeaders }
    return {
      shard,
      channel,
      tick,
      records: { topic: topics[channel], partition: shard.k, records: [record] },
    }
  }

  const hear = (): void => {
    isAway = false
    for (const { tails } of shards.values()) for (const channel of CHANNELS) tails[channel].clock.quietMs = 0
  }

  return {
    follow(items) {
      for (const item of items) {
        if (item.channel !== 'connection') {
          if (isAway && item.channel !== 'status') hear()
        } else if (item.status.state !== 'disconnected') hear()
        else if (item.status.symbol === undefined) isAway = true
      }
    },
    due() {
      const at = now()
      if (isAway || routes.windowed.size === 0 || at - lookedAt < LOOK_EVERY_MS) return []
      const passedMs = Math.min(at - lookedAt, LONGEST_LOOK_MS)
      lookedAt = at
      const byChannel = Map.groupBy(routes.windowed, ({ channel }) => channel)
      return [...byChannel].flatMap(([channel, streams]) =>
        [...shards.values()].flatMap((shard) => dueIn(shard, channel, streams, passedMs) ?? []),
      )
    },
  }
}
