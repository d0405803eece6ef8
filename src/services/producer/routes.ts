import { doubled } from '../../async/back-off.ts'
import type { Registry } from '../../control/registry.ts'
import type { StreamEntry } from '../../control/registry-view.ts'
import { type CompiledSpec, compileSpec } from '../../domain/compiled-spec.ts'
import { CHANNELS, type Channel, type EventOf, hasLatestValue } from '../../domain/events.ts'
import { RoutingTable } from '../../domain/routing.ts'
import type { StreamSpec } from '../../domain/stream-spec.ts'
import type { PassedOver } from './checkpoint.ts'
import { PassedOverStreams } from './passed-over.ts'
import type { Shard } from './shard.ts'

/** A stream begins anew, with a `reset`: what it has in its topic does not count for what comes. */
export interface Anew {
  readonly reason: string
  /** Only records before this fixed offset may come a second time: without any the readers need not hear of it. */
  readonly before?: number
  /** When an owner last knew what the topic holds, if that is why; milliseconds. */
  readonly since?: number
}

/** How far a stream is, of one shard. */
export interface Progress {
  /** Nothing before this fixed offset is derived for the stream. */
  readonly notBefore: number
  /** The next fixed offset to derive while the stream is behind the others; undefined once it is level with them. */
  behind: number | undefined
  /** Whether the topic has this owner's marker, and this owner knows what the topic holds of the shard. */
  prepared: boolean
  /** The highest fixed offset that the topic holds of this shard. */
  held: number
  /** Whether the stream begins anew; undefined once its readers have heard it. */
  anew: Anew | undefined
  /** Whether this owner has read what the topic holds. */
  isRead: boolean
  /** Whether the shard's checkpoint covers the stream. */
  readonly isCovered: boolean
  /** Whether the stream still has to begin with the latest known values (R11). */
  latestDue: boolean
  /** When an owner last derived it, if not at the checkpoint: this owner reads the topic from then on. */
  readonly derivedAt: number | undefined
  /** The last fixed record before the checkpoint that the topic held then; undefined where none is known. */
  last: { readonly offset: number; readonly at: number } | undefined
  /** Where the topic went on after it had lost its end, while it is not known what it has lost. */
  lostFrom: number | undefined
  /** When this owner sent something, and since then does not know whether the topic holds it; milliseconds. */
  sentAt: number | undefined
}

/** A stream that is derived: its topic, what it wants, and how far it is of each shard. */
export interface Route {
  readonly id: string
  readonly topic: string
  /** Identity of the topic: another one of its name is not ours. */
  readonly topicId: string
  readonly channel: Channel
  readonly spec: StreamSpec
  /** What it makes of the events of its markets. */
  readonly compiled: CompiledSpec
  readonly start: readonly number[]
  /** Offset of the registry's record that made it ready. */
  readonly readyOffset: number
  readonly progress: Map<number, Progress>
  /** All that the broker acknowledged to this process lies before this offset: the topic ends there, or later. */
  end: number
}

/** An owner reads a dynamic topic from so long before the time at which somebody last knew what it holds (R4). */
export const SLACK_MS = 60_000
/** The first rest of topics that cannot be written, and the longest. */
const FIRST_ASIDE_MS = 500
const LONGEST_ASIDE_MS = 30_000

/** The streams that this process derives, kept level with the registry. */
export class Routes {
  readonly table = new RoutingTable<Route>()
  /** Streams that are behind somewhere, or have still to begin with the latest values. */
  readonly unsettled = new Set<Route>()
  /** Streams whose topic alone cannot be written (R3): behind, and tried again one at a time. */
  readonly aside = new Set<Route>()
  readonly #registry: Pick<Registry, 'view'>
  readonly #now: () => number
  readonly #shards: ReadonlyMap<number, Shard>
  readonly #passed = new PassedOverStreams()
  /** Fixed partitions that could not be read for streams that are behind: how often in a row, and until when they rest. */
  readonly #resting = new Map<string, { readonly failures: number; readonly until: number }>()
  #appliedOffset = 0
  #asideRetryAt = 0
  #asideAttempts = 0

  /** `now`: milliseconds. `shards`: those that this process owns at present; streams go on in these only. */
  constructor(registry: Pick<Registry, 'view'>, now: () => number, shards: ReadonlyMap<number, Shard>) {
    this.#registry = registry
    this.#now = now
    this.#shards = shards
  }

  /** Streams that got ready before this offset of the registry are in the table. */
  get coveredOffset(): number {
    return Math.min(this.#appliedOffset, this.#registry.view.knownTo)
  }

  /** The streams that ask for the market of an event. */
  matching(channel: Channel, { exchange, symbol = '' }: EventOf[Channel]): readonly Route[] {
    return this.table.match(channel, exchange, symbol)
  }

  /** Brings the table level with the registry: ready streams are routed, all others are not. */
  sync(shards: Iterable<Shard>): void {
    const { view } = this.#registry
    if (view.nextOffset === this.#appliedOffset) return
    const owned = [...shards]
    /** Shards whose checkpoint covers a stream that is new here. */
    const begun = new Set<number>()
    for (const shard of owned) this.#passOver(shard)
    for (const route of [...this.table.values()]) {
      if (view.stream(route.id)?.state !== 'ready') this.drop(route)
    }
    for (const stream of view.streams()) {
      if (stream.state !== 'ready' || this.table.get(stream.id)) continue
      const route = toRoute(stream)
      for (const shard of owned) this.#place(route, shard)
      this.table.set(stream.id, route)
      for (const [k, { isCovered }] of route.progress) if (isCovered) begun.add(k)
    }
    for (const shard of owned) if (begun.has(shard.k)) this.#expectLast(shard)
    this.#passed.forgetOthers(new Set([...view.unreadableStreams()].map(({ id }) => id)))
    this.#appliedOffset = view.nextOffset
  }

  /** Takes note of how far streams are that this process does not understand, as long as it knows (R23). */
  #passOver(shard: Shard): void {
    for (const { id, offset } of this.#registry.view.unreadableStreams())
      this.#passed.add(shard, { id, offset, route: this.table.get(id) }, this.#now())
  }

  /**
   * How far streams are, of one shard, that this process does not understand, or whose topics it could not look into for long; undefined
   * where there are none.
   */
  passedOver(shard: number): Record<string, PassedOver> | undefined {
    const unknown = this.#unknown(shard)
    const passed = this.#passed.of(shard)
    return passed === undefined && Object.keys(unknown).length === 0 ? undefined : { ...unknown, ...passed }
  }

  /** Streams that are behind, while nobody knows what their topics hold: the next owner reads these topics from then on. */
  #unknown(k: number): Record<string, PassedOver> {
    const shard = this.#shards.get(k)
    const found: Record<string, PassedOver> = {}
    for (const { id, channel, progress } of shard === undefined ? [] : this.unsettled) {
      const own = progress.get(k)
      if (shard === undefined || own?.behind === undefined) continue
      const isKnown = own.isRead && own.sentAt === undefined && own.anew?.since === undefined
      const at = own.anew?.since ?? knownAt(own, shard)
      if (isKnown || this.#now() - at < SLACK_MS) continue
      found[id] = { at, positions: own.latestDue ? {} : { [channel]: own.behind } }
    }
    return found
  }

  /** Places all streams on a shard that was taken over. */
  placeAll(shard: Shard): void {
    this.#passOver(shard)
    for (const route of this.table.values()) this.#place(route, shard)
    this.#expectLast(shard)
  }

  /** Takes note of what the topics of streams held at the checkpoint: one that does not hold it has lost its end. */
  #expectLast(shard: Shard): void {
    for (const channel of CHANNELS) {
      const { before } = shard.tails[channel]
      for (const { offset, at, event } of shard.lost.has(channel) ? [] : before.values())
        for (const route of this.matching(channel, event)) {
          if (!route.compiled.wants(event)) continue
          const progress = route.progress.get(shard.k)
          if (!progress?.isCovered || progress.isRead || this.#passed.get(shard, route.id)) continue
          const isHeld = startOf(route, shard) <= offset && offset < progress.notBefore
          if (isHeld && offset > (progress.last?.offset ?? -1)) progress.last = { offset, at }
        }
    }
  }

  /** Stops deriving a stream. */
  drop(route: Route): void {
    this.table.delete(route.id)
    this.unsettled.delete(route)
    this.aside.delete(route)
  }

  /** A shard is another process's: nothing of it is due here any more. */
  leaveShard(k: number): void {
    this.#passed.leaveShard(k)
    for (const route of this.table.values()) {
      if (!route.progress.delete(k)) continue
      if (route.progress.size === 0) this.aside.delete(route)
      this.settle(route)
    }
  }

  /**
   * Nobody knows what became of a step of the stream: it goes on alone from `next` of each shard, once a step has read what its topic holds.
   * `isSent`: whether the step sent anything.
   */
  fallBehind(route: Route, next: (shard: number) => number | undefined, isSent: boolean): void {
    for (const [k, progress] of route.progress) {
      progress.behind ??= next(k)
      progress.prepared = false
      if (isSent) progress.sentAt ??= this.#now()
    }
    this.unsettled.add(route)
  }

  /**
   * Takes note of an acknowledgement of a stream's topic, of so many records. Gives whether the topic has lost its end before: then it has to be read
   * for what it holds.
   */
  acknowledge(route: Route, baseOffset: number, records: number): boolean {
    const hasLostEnd = baseOffset < route.end
    route.end = baseOffset + records
    if (!hasLostEnd) return false
    for (const progress of route.progress.values()) {
      progress.lostFrom = Math.min(progress.lostFrom ?? baseOffset, baseOffset)
      progress.prepared = false
    }
    return true
  }

  /** The topic cannot be written: all such topics together rest for 1 s to 30 s, so that they seldom hold up others. */
  setAside(route: Route): void {
    this.#asideRetryAt = this.#now() + doubled(FIRST_ASIDE_MS, LONGEST_ASIDE_MS, ++this.#asideAttempts)
    // At the end of the line: topics that may work again by now come first.
    this.aside.delete(route)
    this.aside.add(route)
  }

  /** The topic was written again: others that rest may try soon. */
  restore(route: Route): void {
    if (!this.aside.delete(route)) return
    this.#asideAttempts = 0
    this.#asideRetryAt = 0
  }

  /** A fixed partition could not be read: it rests for 1 s to 30 s, and with it the streams that are behind there. */
  rest(shard: number, channel: Channel): void {
    const key = restKey(shard, channel)
    const failures = (this.#resting.get(key)?.failures ?? 0) + 1
    this.#resting.set(key, {
      failures,
      until: this.#now() + doubled(FIRST_ASIDE_MS, LONGEST_ASIDE_MS, failures),
    })
  }

  /** A fixed partition was read. */
  wake(shard: number, channel: Channel): void {
    this.#resting.delete(restKey(shard, channel))
  }

  isResting(shard: number, channel: Channel): boolean {
    return this.#now() < (this.#resting.get(restKey(shard, channel))?.until ?? 0)
  }

  /** The stream was helped on: all others come first now. */
  served(route: Route): void {
    if (this.unsettled.delete(route)) this.unsettled.add(route)
  }

  /**
   * The streams to help on, in the order in which they have waited: all that are behind; of those set aside only one, when it has rested.
   */
  *due(): Generator<Route> {
    const rested = this.#now() < this.#asideRetryAt ? undefined : this.#firstAside()
    if (rested !== undefined) yield rested
    for (const route of this.unsettled) if (!this.aside.has(route) && this.#canGoOn(route)) yield route
  }

  #firstAside(): Route | undefined {
    for (const route of this.aside) if (this.#canGoOn(route)) return route
    return undefined
  }

  #canGoOn({ channel, progress }: Route): boolean {
    for (const [k, { behind, latestDue }] of progress) {
      if (!this.#shards.has(k)) continue
      if (behind === undefined ? latestDue : !this.isResting(k, channel)) return true
    }
    return false
  }

  isCatchUpDue(): boolean {
    return !this.due().next().done
  }

  /** Forgets that a stream is unsettled, if it is level on every shard. */
  settle(route: Route): void {
    if (this.aside.has(route)) return
    for (const { behind, latestDue } of route.progress.values()) if (behind !== undefined || latestDue) return
    this.unsettled.delete(route)
  }

  #place(route: Route, shard: Shard): void {
    const passed = this.#passed.get(shard, route.id)
    const progress = placeOn(shard, route, this.aside.has(route), passed)
    route.progress.set(shard.k, progress)
    if (progress.behind !== undefined || progress.latestDue) this.unsettled.add(route)
  }

  /** Per stream that is behind on a shard: its next fixed offset. */
  behind(shard: number): Record<string, number> {
    const result: Record<string, number> = {}
    for (const route of this.unsettled) {
      const behind = route.progress.get(shard)?.behind
      if (behind !== undefined) result[route.id] = behind
    }
    return result
  }
}

/** When it was last known what the topic of a stream holds of a shard: milliseconds. */
export function knownAt({ sentAt, derivedAt }: Progress, { restored }: Shard): number {
  return sentAt ?? derivedAt ?? restored.at
}

/** The fixed offset of a shard from which on a stream wants something, in the log of now. */
export function startOf({ channel, start, readyOffset }: Route, { k, logs, lost }: Shard): number {
  if (readyOffset < logs[channel].since) return 0
  const own = start[k] ?? 0
  const found = lost.get(channel)
  return found?.code === 'OFFSET_OUT_OF_RANGE' && readyOffset < found.registryOffset
    ? Math.min(own, found.at)
    : own
}

function restKey(shard: number, channel: Channel): string {
  return `${shard}:${channel}`
}

function toRoute(stream: StreamEntry): Route {
  return {
    id: stream.id,
    topic: stream.topic,
    topicId: stream.topicId,
    channel: stream.spec.channel,
    spec: stream.spec,
    compiled: compileSpec(stream.spec),
    start: stream.start,
    readyOffset: stream.offset,
    progress: new Map(),
    end: 0,
  }
}

/**
 * Where a stream stands on a shard. A stream that an owner passed over is as far as `passed` says. One that the checkpoint covers is as far as
 * the checkpoint says. A later one begins at its start; it is behind if records after the start were chosen without it, or if its topic
 * cannot be written.
 */
function placeOn(shard: Shard, route: Route, isAside: boolean, passed: PassedOver | undefined): Progress {
  const { restored } = shard
  const tail = shard.tails[route.channel]
  const covered = passed
    ? passed.positions[route.channel] !== undefined
    : route.readyOffset < restored.registryOffset
  const start = startOf(route, shard)
  const lost = shard.lost.get(route.channel)
  const positions = passed?.positions ?? restored.positions
  const wasAt = (passed ? undefined : restored.behind[route.id]) ?? positions[route.channel] ?? 0
  // Records in the place of a lost end are new to a stream that has nothing of that end.
  const checkpointed = lost?.code === 'OFFSET_OUT_OF_RANGE' ? Math.min(wasAt, lost.at) : wasAt
  if (lost?.code === 'TOPIC_REPLACED' && covered) {
    const next = restored.positions[route.channel] ?? 0
    const isNew = { notBefore: next, behind: next, anew: { reason: lost.reason }, latestDue: false }
    return { ...unread, ...isNew, derivedAt: passed?.at, isCovered: covered }
  }
  const next = covered ? Math.max(start, checkpointed) : start
  return {
    notBefore: next,
    behind: isAside || next < Math.max(tail.derivedTo, tail.chosenTo) ? next : undefined,
    anew: undefined,
    latestDue: !covered && hasLatestValue(route.channel),
    derivedAt: passed?.at,
    isCovered: covered,
    ...unread,
  }
}

/** What this owner knows of a topic that it has not read. */
const unread = {
  ...{ prepared: false, isRead: false, held: -1 },
  ...{ last: undefined, lostFrom: undefined, sentAt: undefined },
} as const
