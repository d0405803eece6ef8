import { CHANNELS } from '../../domain/events.ts'
import type { PassedOver } from './checkpoint.ts'
import type { Route } from './route.ts'
import type { Shard } from './shard.ts'

/** A stream that this process does not understand, and its route until now. */
interface Stream {
  readonly id: string
  /** Offset of its record in the registry. */
  readonly offset: number
  readonly route: Route | undefined
}

/**
 * How far the streams are that this process does not understand (R23). It goes on with the others. A process that understands these goes on
 * from here, without a hole and without a repeat.
 */
export class PassedOverStreams {
  readonly #byShard = new Map<number, Map<string, PassedOver>>()

  /** Takes note of a stream that is passed over from now on. `now`: milliseconds since the epoch. */
  add(shard: Shard, stream: Stream, now: number): void {
    const known = this.#byShard.get(shard.k) ?? new Map<string, PassedOver>()
    this.#byShard.set(shard.k, known)
    if (!known.has(stream.id)) known.set(stream.id, lastOwn(shard, stream, now) ?? restored(shard, stream))
  }

  /** What is noted of a stream, by this owner or the one before. */
  get(shard: Shard, id: string): PassedOver | undefined {
    return this.#byShard.get(shard.k)?.get(id) ?? shard.restored.passedOver?.[id]
  }

  /** All that is noted of a shard; undefined where there is nothing. */
  of(k: number): Record<string, PassedOver> | undefined {
    const known = this.#byShard.get(k)
    return known === undefined || known.size === 0 ? undefined : Object.fromEntries(known)
  }

  /** Forgets all streams but these: the others are gone, or this process understands them by now. */
  forgetOthers(ids: ReadonlySet<string>): void {
    for (const known of this.#byShard.values())
      for (const id of known.keys()) if (!ids.has(id)) known.delete(id)
  }

  leaveShard(k: number): void {
    this.#byShard.delete(k)
  }
}

/** This owner has derived it until now. */
function lastOwn(shard: Shard, { route }: Stream, now: number): PassedOver | undefined {
  const progress = route?.progress.get(shard.k)
  if (route === undefined || progress === undefined) return undefined
  const position = progress.behind ?? shard.tails[route.channel].derivedTo
  return { at: now, positions: { [route.channel]: position } }
}

/** A former owner may have derived it, as far as its checkpoint says; else it is still to be begun. */
function restored({ restored: checkpoint }: Shard, { id, offset }: Stream): PassedOver {
  const noted = checkpoint.passedOver?.[id]
  if (noted !== undefined) return noted
  const { at, registryOffset, behind, positions } = checkpoint
  if (offset >= registryOffset) return { at, positions: {} }
  const ownPosition = behind[id]
  if (ownPosition === undefined) return { at, positions }
  // Nobody knows its channel: the position holds for that one, and the others do not matter.
  return { at, positions: Object.fromEntries(CHANNELS.map((channel) => [channel, ownPosition])) }
}
