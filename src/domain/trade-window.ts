/** What a window says of a trade: publish it, leave it out, or publish it marked as entering again. */
export type Verdict = 'new' | 'duplicate' | 'reentering'

/** The part of a window that is written with the checkpoint. */
export interface WindowSnapshot {
  /** The kept ids, oldest arrival first. */
  readonly ids: readonly string[]
  /** Event times (us) of the kept ids, in the same order. */
  readonly times: readonly number[]
  /** Highest event time (us) among the ids no longer kept; -1 where all are kept. */
  readonly forgottenTs: number
  /** Event time (us) of the last trade published. */
  readonly lastTs: number
}

/** How many ids a market keeps in memory and in its snapshot. CryptoCompare repeats 20 on each subscribe. */
const KEPT_IDS = 512
const SNAPSHOT_IDS = 128

/**
 * The last trades of one market by id (R5): a trade seen twice is published once. A trade that is not newer than something
 * already forgotten may have been published before: it re-enters (R6), and the store decides.
 */
export class TradeWindow {
  readonly #known = new Set<string>()
  /** A ring: once it is full, the next place is that of the oldest. */
  readonly #ids: string[] = []
  readonly #times: number[] = []
  #next = 0
  #forgottenTs = -1
  #lastTs = -1

  static restore(snapshot: WindowSnapshot): TradeWindow {
    const window = new TradeWindow()
    snapshot.ids.forEach((id, i) => {
      window.remember(id, snapshot.times[i] ?? -1)
    })
    window.#forgottenTs = snapshot.forgottenTs
    window.#lastTs = snapshot.lastTs
    return window
  }

  /** Event time (us) of the newest trade seen; -1 before the first. */
  get lastTs(): number {
    return this.#lastTs
  }

  judge(id: string, ts: number): Verdict {
    if (this.#known.has(id)) return 'duplicate'
    return ts <= this.#forgottenTs ? 'reentering' : 'new'
  }

  remember(id: string, ts: number): void {
    if (this.#known.has(id)) return
    if (this.#ids.length === KEPT_IDS) this.#forget(this.#next)
    this.#known.add(id)
    this.#ids[this.#next] = id
    this.#times[this.#next] = ts
    this.#next = (this.#next + 1) % KEPT_IDS
    if (ts > this.#lastTs) this.#lastTs = ts
  }

  snapshot(): WindowSnapshot {
    const inOrder = <T>(ring: readonly T[]): T[] =>
      ring.length < KEPT_IDS ? [...ring] : [...ring.slice(this.#next), ...ring.slice(0, this.#next)]
    const times = inOrder(this.#times)
    return {
      ids: inOrder(this.#ids).slice(-SNAPSHOT_IDS),
      times: times.slice(-SNAPSHOT_IDS),
      forgottenTs: times.slice(0, -SNAPSHOT_IDS).reduce((a, b) => Math.max(a, b), this.#forgottenTs),
      lastTs: this.#lastTs,
    }
  }

  #forget(place: number): void {
    this.#known.delete(this.#ids[place] as string)
    this.#forgottenTs = Math.max(this.#forgottenTs, this.#times[place] as number)
  }
}
