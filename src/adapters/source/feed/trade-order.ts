import type { Tally } from './tally.ts'

/** CryptoCompare repeats 20 trades on a subscribe; a few more recognise a repeat that overlaps with live ones. */
const KEPT = 32

/**
 * The order of one market's trades as they arrive: counts those that came before, and those that are older than one that came
 * before. It drops nothing: the producer deduplicates, since it also knows what came before this process started.
 */
export class TradeOrder {
  readonly #ids: string[] = []
  #next = 0
  #lastTs = -1

  /** Notes a trade; `ts` in microseconds. */
  see(id: string, ts: number, tally: Tally): void {
    if (ts > this.#lastTs) this.#lastTs = ts
    else if (this.#ids.includes(id)) {
      tally.counters.duplicates++
      return
    } else if (ts < this.#lastTs) tally.counters.outOfOrder++
    this.#ids[this.#next] = id
    this.#next = (this.#next + 1) % KEPT
  }
}
