import { pause } from '../../async/timers.ts'
import { marketKey } from '../../domain/events.ts'
import { type TapelineError, toTapelineError } from '../../errors.ts'
import type {
  Market,
  NextOptions,
  Source,
  SourceBatch,
  SourceHealth,
  SourceItem,
} from '../../ports/source.ts'

/** What the group is called where one name must do. */
const NAME = 'sources'

/** How soon it asks a source again that cannot deliver, while it waits for the others. */
const ASK_AGAIN_MS = 200

/** A source, and the markets that are its own. */
export interface GroupMember {
  readonly source: Source
  readonly markets: readonly Market[]
}

/**
 * Several sources as one. Each has markets of its own, connects and fails by itself, and keeps a queue of its own: one that is away, stands still or
 * sends too much costs the others nothing. The group fails only where none of them delivers. A change of one connection concerns the markets of that
 * source alone.
 */
export function groupSources(members: readonly GroupMember[]): Source {
  return new SourceGroup(members)
}

class SourceGroup implements Source {
  readonly name = NAME
  readonly #members: readonly GroupMember[]
  readonly #ownerOf: ReadonlyMap<string, Source>
  /** What was taken from sources and not pulled yet: an aborted pull leaves it here. */
  readonly #held: SourceItem[] = []
  /** Why sources do not deliver, as they answered last. */
  readonly #failures = new Map<Source, TapelineError>()
  #first = 0
  #isClosed = false

  constructor(members: readonly GroupMember[]) {
    this.#members = members
    this.#ownerOf = new Map(
      members.flatMap(({ source, markets }) => markets.map((market) => [marketKey(market), source] as const)),
    )
  }

  get ended(): boolean {
    return this.#held.length === 0 && this.#members.every(({ source }) => source.ended)
  }

  async next({ maxItems, lingerMs, waitMs }: NextOptions, signal: AbortSignal): Promise<SourceBatch> {
    await this.#collect(maxItems, signal)
    const isMore = this.#held.length < maxItems
    if (isMore && this.#held.length > 0 && lingerMs > 0)
      await this.#wait(maxItems, lingerMs, lingerMs, signal)
    else if (this.#held.length === 0 && waitMs > 0 && this.#failures.size < this.#members.length)
      await this.#wait(maxItems, lingerMs, waitMs, signal)
    signal.throwIfAborted()
    if (this.#held.length === 0 && this.#failures.size === this.#members.length)
      throw [...this.#failures.values()][0]
    return { items: this.#held.splice(0, maxItems) }
  }

  subscribe(markets: readonly Market[]): void {
    for (const [source, own] of this.#bySource(markets)) source.subscribe(own)
  }

  unsubscribe(markets: readonly Market[]): void {
    for (const [source, own] of this.#bySource(markets)) source.unsubscribe(own)
  }

  relieve(isWanted: boolean): void {
    for (const { source } of this.#members) source.relieve?.(isWanted)
  }

  health(): SourceHealth {
    const members = this.#members.map(({ source }) => source.health())
    const failing = members.filter(({ failure }) => failure !== undefined)
    const way = members.find((each) => each.way !== 'none')?.way ?? 'none'
    const [failure] = way === 'none' ? failing.flatMap((each) => each.failure ?? []) : []
    return {
      name: NAME,
      way,
      markets: members.reduce((sum, each) => sum + each.markets, 0),
      counters: sumOf(members.map(({ counters }) => counters)),
      without: members.flatMap(({ without }) => without),
      ...(failure && { failure }),
      members,
    }
  }

  memberOf(market: Market): string {
    return this.#ownerOf.get(marketKey(market))?.name ?? NAME
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all(this.#members.map(({ source }) => source.close()))
  }

  /** Takes what the sources have at present, each in turn, as far as there is room. */
  async #collect(maxItems: number, signal: AbortSignal): Promise<void> {
    for (const source of this.#inTurn()) {
      const room = maxItems - this.#held.length
      if (room <= 0) return
      await this.#ask(source, { maxItems: room, lingerMs: 0, waitMs: 0 }, signal)
    }
  }

  /** Waits until one of the sources has something, which it has gathered for the linger; then takes what the others have. */
  async #wait(maxItems: number, lingerMs: number, waitMs: number, signal: AbortSignal): Promise<void> {
    const enough = new AbortController()
    const stop = AbortSignal.any([signal, enough.signal])
    const end = performance.now() + waitMs
    const room = maxItems - this.#held.length
    const waitFor = async (source: Source): Promise<void> => {
      for (let left = waitMs; left > 0 && !stop.aborted && !this.#isClosed; left = end - performance.now()) {
        const count = await this.#ask(source, { maxItems: room, lingerMs, waitMs: left }, stop)
        if (count > 0) enough.abort()
        if (!this.#failures.has(source)) return
        // One that fails answers at once, and may be back before the others have anything.
        await pause(Math.min(ASK_AGAIN_MS, left), stop)
      }
    }
    await Promise.all(this.#members.map(({ source }) => waitFor(source)))
    await this.#collect(maxItems, signal)
  }

  /** Asks one source, and holds what it gives: how much that is. What a source has is held there as long as an aborted pull leaves it. */
  async #ask(source: Source, options: NextOptions, signal: AbortSignal): Promise<number> {
    try {
      const { items } = await source.next(options, signal)
      this.#failures.delete(source)
      for (const item of items) this.#held.push(this.#scoped(source, item))
      return items.length
    } catch (error) {
      if (!signal.aborted) this.#failures.set(source, toTapelineError(error, 'SOURCE_UNAVAILABLE'))
      return 0
    }
  }

  /** A change of a whole source is one of its own markets here. */
  #scoped(source: Source, item: SourceItem): SourceItem {
    if (item.channel !== 'connection' || !item.mayHaveMissed || item.status.symbol !== undefined) return item
    const own = this.#members.find((member) => member.source === source)
    return { ...item, of: own?.markets ?? [] }
  }

  /** Each is the first in its turn, so that none takes all the room of a batch for ever. */
  #inTurn(): readonly Source[] {
    const at = this.#first++ % this.#members.length
    return [...this.#members.slice(at), ...this.#members.slice(0, at)].map(({ source }) => source)
  }

  #bySource(markets: readonly Market[]): ReadonlyMap<Source, readonly Market[]> {
    const bySource = new Map<Source, Market[]>()
    for (const market of markets) {
      const source = this.#ownerOf.get(marketKey(market))
      if (source === undefined) continue
      const own = bySource.get(source)
      if (own) own.push(market)
      else bySource.set(source, [market])
    }
    return bySource
  }
}

function sumOf(all: readonly SourceHealth['counters'][]): SourceHealth['counters'] {
  const sum = (counter: keyof SourceHealth['counters']) =>
    all.reduce((total, counters) => total + counters[counter], 0)
  return {
    frames: sum('frames'),
    malformed: sum('malformed'),
    duplicates: sum('duplicates'),
    outOfOrder: sum('outOfOrder'),
    reconnects: sum('reconnects'),
    conflated: sum('conflated'),
    dropped: sum('dropped'),
  }
}
