import type { StreamBatch } from '../../ports/pipeline.ts'

type Event = StreamBatch['events'][number]

/** More markets than this are none of a stream that people read: the oldest is left out then. */
const MOST_MARKETS = 20_000

/** Which market, and of candles which interval, each event of a batch is of: read once, however many connections are slow. */
const markets = new WeakMap<StreamBatch, readonly string[]>()

/** The latest event of each market, for a connection that is too slow for all of them. */
export class LatestEvents {
  readonly #events = new Map<string, Event>()
  #taken = 0

  take(batch: StreamBatch, from: number): void {
    const names = marketsOf(batch)
    for (const [i, event] of batch.events.entries()) {
      if (event.offset < from) continue
      const name = names[i] ?? ''
      // The order of the map is that of the events.
      this.#events.delete(name)
      this.#events.set(name, event)
      if (this.#events.size > MOST_MARKETS) this.#events.delete(this.#events.keys().next().value ?? '')
      this.#taken++
    }
  }

  /** How many events are left out. */
  get skipped(): number {
    return this.#taken - this.#events.size
  }

  /** In the order in which they came. */
  events(): readonly Event[] {
    return [...this.#events.values()]
  }

  clear(): void {
    this.#events.clear()
    this.#taken = 0
  }
}

function marketsOf(batch: StreamBatch): readonly string[] {
  const known = markets.get(batch)
  if (known !== undefined) return known
  const names = batch.events.map(({ value }) => {
    const { exchange, symbol, interval } = JSON.parse(Buffer.from(value).toString()) as Record<
      string,
      unknown
    >
    return `${exchange}:${symbol}:${interval ?? ''}`
  })
  markets.set(batch, names)
  return names
}
