/** A gap of a market: event times of the last trade before it and of the first after it (R6). */
export interface Gap {
  readonly from: number
  readonly to: number
  /** What the source repeated reaches back to the last trade published: nothing is missing. */
  readonly filled: boolean
}

/** Follows interruptions: a market's first trade after each closes its gap. */
export class GapWatch {
  /** Rises with each interruption of the whole source. */
  #connection = 0
  /** In which connection a market has had its first trade. */
  readonly #seen = new Map<string, number>()
  readonly #overlapping = new Set<string>()
  /** Per shard: time of its last trade of any market at the last interruption, -1 where there was none. */
  readonly #lastTs = new Map<number, number>()

  /** Events of all markets may have been missed; `lastTs` of each shard that is owned. */
  resume(lastTs: ReadonlyMap<number, number>): void {
    this.#connection++
    this.#overlapping.clear()
    for (const [k, ts] of lastTs) this.#lastTs.set(k, ts)
  }

  /** Events of the markets of one shard may have been missed: it was another process's, or nobody's. */
  resumeShard(k: number, isOfShard: (market: string) => boolean, lastTs: number): void {
    this.#lastTs.set(k, lastTs)
    for (const market of this.#seen.keys()) if (isOfShard(market)) this.#seen.delete(market)
    for (const market of this.#overlapping) if (isOfShard(market)) this.#overlapping.delete(market)
  }

  /** Events of one market may have been missed: it was subscribed to while the connection stood. */
  resumeMarket(market: string): void {
    this.#seen.delete(market)
    this.#overlapping.delete(market)
  }

  /** A trade that was known came again: what the source repeats reaches back to what was published. */
  overlap(market: string): void {
    if (this.#seen.get(market) !== this.#connection) this.#overlapping.add(market)
  }

  /**
   * The first new trade of a market after an interruption: gives the gap before it, or undefined where there is none. `lastTs`
   * is the time of the market's last trade, -1 where it has had none: it counts from the last trade of any market then.
   */
  close(market: string, k: number, lastTs: number, ts: number): Gap | undefined {
    if (this.#seen.get(market) === this.#connection) return undefined
    this.#seen.set(market, this.#connection)
    const from = lastTs >= 0 ? lastTs : (this.#lastTs.get(k) ?? -1)
    if (from < 0) return undefined
    return { from: Math.min(from, ts), to: Math.max(from, ts), filled: this.#overlapping.has(market) }
  }
}
