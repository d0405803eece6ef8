import { marketKey } from '../../../domain/events.ts'
import type {
  Market,
  NextOptions,
  Source,
  SourceBatch,
  SourceHealth,
  SourceItem,
} from '../../../ports/source.ts'
import { SeveralSources, sumOfCounters } from './several.ts'

/** One connection, and the markets that it is asked for. */
interface Connection {
  readonly source: Source
  readonly markets: Map<string, Market>
}

/**
 * A source that opens a further connection when its markets are more than one takes. Each connects by itself, and what happens to one concerns
 * its own markets alone.
 */
export class SpreadSource implements Source {
  readonly name: string
  readonly #connect: () => Source
  readonly #mostMarkets: number
  readonly #connections: Connection[] = []
  readonly #several: SeveralSources

  constructor(connect: () => Source, mostMarkets: number) {
    this.#connect = connect
    this.#mostMarkets = mostMarkets
    this.#several = new SeveralSources([], (source, item) => this.#scoped(source, item))
    this.name = this.#open().source.name
  }

  get ended(): boolean {
    return this.#several.ended
  }

  next(options: NextOptions, signal: AbortSignal): Promise<SourceBatch> {
    return this.#several.next(options, signal)
  }

  subscribe(markets: readonly Market[]): void {
    const given = new Map<Connection, Market[]>()
    for (const market of markets) {
      const key = marketKey(market)
      if (this.#connections.some((each) => each.markets.has(key))) continue
      const connection =
        this.#connections.find((each) => each.markets.size < this.#mostMarkets) ?? this.#open()
      connection.markets.set(key, market)
      const own = given.get(connection)
      if (own) own.push(market)
      else given.set(connection, [market])
    }
    for (const [{ source }, own] of given) source.subscribe(own)
  }

  unsubscribe(markets: readonly Market[]): void {
    for (const { source, markets: own } of this.#connections) {
      const gone = markets.filter((market) => own.delete(marketKey(market)))
      if (gone.length > 0) source.unsubscribe(gone)
    }
  }

  relieve(isWanted: boolean): void {
    for (const { source } of this.#connections) source.relieve?.(isWanted)
  }

  history(...asked: Parameters<NonNullable<Source['history']>>): ReturnType<NonNullable<Source['history']>> {
    return this.#connections[0]?.source.history?.(...asked)
  }

  health(): SourceHealth {
    const members = this.#connections.map(({ source }, i) => {
      const health = source.health()
      return i === 0 ? health : { ...health, name: `${this.name}-${i + 1}` }
    })
    const [only] = members
    if (members.length === 1 && only !== undefined) return only
    const delivering = members.find(({ way }) => way !== 'none')
    const failure = members.find((each) => each.failure !== undefined)?.failure
    return {
      name: this.name,
      way: delivering?.way ?? 'none',
      markets: members.reduce((sum, { markets }) => sum + markets, 0),
      counters: sumOfCounters(members),
      without: members.flatMap(({ without }) => without),
      ...(failure && { failure }),
      members,
    }
  }

  close(): Promise<void> {
    return this.#several.close()
  }

  #open(): Connection {
    const connection = { source: this.#connect(), markets: new Map<string, Market>() }
    this.#connections.push(connection)
    this.#several.add(connection.source)
    return connection
  }

  /** While there is one connection alone, what happens to it happens to the source. */
  #scoped(source: Source, item: SourceItem): SourceItem {
    if (item.channel !== 'connection' || item.status.symbol !== undefined || this.#connections.length === 1)
      return item
    const own = this.#connections.find((each) => each.source === source)
    return { ...item, of: [...(own?.markets.values() ?? [])] }
  }
}
