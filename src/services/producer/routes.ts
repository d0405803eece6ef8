import { doubled } from '../../async/back-off.ts'
import type { Registry } from '../../control/registry.ts'
import type { Channel, EventOf } from '../../domain/events.ts'
import { RoutingTable } from '../../domain/routing.ts'
import type { PassedOver } from './checkpoint.ts'
import { expectLast } from './expect-last.ts'
import { PassedOverStreams } from './passed-over.ts'
import { knownAt, placeOn, type Route, SLACK_MS, toRoute } from './route.ts'
import type { Shard } from './shard.ts'
import type { PublishedRecord, Tick } from './tail.ts'

/** The first rest of topics that cannot be written, and the longest. */
const FIRST_ASIDE_MS = 500
const LONGEST_ASIDE_MS = 30_000

/**
 * The streams that this process derives, kept level with the registry. It is long, and one file: whether a stream is level, behind, set aside or
 * resting stands in several sets, which change together.
 */
export class Routes {
  readonly table = new RoutingTable<Route>()
  /** Streams that are behind somewhere, or have still to begin with the latest values. */
  readonly unsettled = new Set<Route>()
  /** Streams with windows. */
  readonly windowed = new Set<Route>()
  /** Streams whose topic alone cannot be written (R3): behind, and tried again one at a time. */
  readonly aside = new Set<Route>()
  readonly #registry: Pick<Registry, 'view'>
  readonly #now: () => number
  readonly #shards: ReadonlyMap<number, Shard>
  readonly #passed = new PassedOverStreams()
  /** Streams whose topics somebody wants to be read. */
  readonly #toRead = new Set<Route>()
  /** Shards of whose streams a topic has lost its end, as the next checkpoint has to say. */
  readonly #lossesToSay = new Set<number>()
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

  /** Whether a stream is over for good: the registry says so, and not only that this process does not understand it. */
  isOver(id: string): boolean {
    if (this.table.get(id) !== undefined) return false
    for (const stream of this.#registry.view.unreadableStreams()) if (stream.id === id) return false
    return this.#registry.view.stream(id)?.state !== 'ready'
  }

  /** Whether a lease has come to a stream from elsewhere: its readers have positions of their own in front of its part. */
  isJoined({ id, topicId }: Route): boolean {
    const { view } = this.#registry
    for (const { start } of view.leasesOf(id)) if (start !== undefined) return true
    return view
      .leasesAfter(id)
      .some((lease) => lease.former?.some((each) => each.topicId === topicId && each.start))
  }

  /** The streams that a record concerns, or a tick. */
  concerned(channel: Channel, source: PublishedRecord | Tick): readonly Route[] {
    if (!('tick' in source)) return this.matching(channel, source.event)
    return [...this.windowed].filter((route) => route.channel === channel)
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
      if (route.compiled.windows) this.windowed.add(route)
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

  /**
   * Streams that are behind, while nobody knows what their topics hold: the next owner reads these topics from then on. And those whose topics have lost their
   * ends, until that is told.
   */
  #unknown(k: number): Record<string, PassedOver> {
    const shard = this.#shards.get(k)
    const found: Record<string, PassedOver> = {}
    for (const { id, channel, progress } of shard === undefined ? [] : this.unsettled) {
      const own = progress.get(k)
      if (shard === undefined || own?.behind === undefined) continue
      const isKnown = own.isRead && own.sentAt === undefined && own.anew?.since === undefined
      const at = own.anew?.since ?? knownAt(own, shard)
      const { lostFrom } = own
      if (lostFrom === undefined && (isKnown || this.#now() - at < SLACK_MS)) continue
      const positions = own.latestDue ? {} : { [channel]: own.behind }
      found[id] = { at, positions, ...(lostFrom !== undefined && { lostFrom }) }
    }
    return found
  }

  /** Places all streams on a shard that was taken over. */
  placeAll(shard: Shard): void {
    this.#passOver(shard)
    for (const route of this.table.values()) this.#place(route, shard)
    this.#expectLast(shard)
  }

  /** Takes note of what the topics of streams held at the checkpoint. */
  #expectLast(shard: Shard): void {
    expectLast(shard, this, (route) => this.#passed.get(shard, route.id) !== undefined)
  }

  /** Stops deriving a stream. */
  drop(route: Route): void {
    this.table.delete(route.id)
    this.windowed.delete(route)
    this.unsettled.delete(route)
    this.aside.delete(route)
    this.#toRead.delete(route)
  }

  /** A shard is another process's: nothing of it is due here any more. */
  leaveShard(k: number): void {
    this.#passed.leaveShard(k)
    for (const route of this.table.values()) {
      const lostFrom = route.progress.get(k)?.lostFrom
      if (lostFrom !== undefined) route.untold.set(k, lostFrom)
      if (!route.progress.delete(k)) continue
      if (route.progress.size === 0) this.aside.delete(route)
      this.settle(route)
    }
  }

  /**
   * Nobody knows what became of a step of the stream: it goes on alone from `next` of each shard, and from its own beginning if that is later, once a
   * step has read what its topic holds. `isSent`: whether the step sent anything.
   */
  fallBehind(route: Route, next: (shard: number) => number | undefined, isSent: boolean): void {
    for (const [k, progress] of route.progress) {
      const from = next(k)
      progress.behind ??= from === undefined ? undefined : Math.max(from, progress.notBefore)
      progress.prepared = false
      if (isSent) progress.sentAt ??= this.#now()
    }
    this.unsettled.add(route)
  }

  /** Asks the next step to read what the topic of a stream holds of a shard, and to tell its readers of a lost end, also where nothing comes for it. */
  askToRead(route: Route, k: number): void {
    const progress = route.progress.get(k)
    if (progress === undefined) return
    progress.isReadDue = true
    this.#toRead.add(route)
  }

  /** A step begins: streams whose topics it has to read go on alone, and those whose readers have to hear that the log has lost its end. */
  beginReading(): void {
    for (const route of this.#toRead)
      for (const [k, progress] of route.progress) {
        const shard = this.#shards.get(k)
        if (shard === undefined || !progress.isReadDue) continue
        const isDone = progress.isRead || progress.prepared
        if (isDone && progress.again !== undefined && this.isJoined(route)) {
          progress.anew = { reason: 'its fixed topic has lost its end: what follows is new' }
          progress.again = undefined
        } else if (progress.isRead) continue
        progress.behind ??= Math.max(progress.notBefore, shard.tails[route.channel].derivedTo)
        this.unsettled.add(route)
      }
    this.#toRead.clear()
  }

  /**
   * Takes note of an acknowledgement of a stream's topic, of so many records. Gives whether the topic has lost its end before: then it has to be read
   * for what it holds.
   */
  acknowledge(route: Route, baseOffset: number, records: number): boolean {
    const hasLostEnd = baseOffset < route.end
    route.end = baseOffset + records
    if (!hasLostEnd) return false
    for (const [k, progress] of route.progress) {
      progress.lostFrom = Math.min(progress.lostFrom ?? baseOffset, baseOffset)
      progress.prepared = false
      this.#lossesToSay.add(k)
    }
    return true
  }

  /** Whether the topic of a stream of a shard has lost its end, and no checkpoint has been taken since. */
  hasLossToSay(k: number): boolean {
    return this.#lossesToSay.has(k)
  }

  /** A checkpoint of a shard is taken: it says all that is known. */
  said(k: number): void {
    this.#lossesToSay.delete(k)
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
   * The streams to bring on, in the order in which they have waited: all that are behind; of those set aside only one, when it has rested.
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
    return this.#toRead.size > 0 || !this.due().next().done
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
    route.untold.delete(shard.k)
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

function restKey(shard: number, channel: Channel): string {
  return `${shard}:${channel}`
}
