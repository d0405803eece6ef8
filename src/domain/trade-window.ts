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
  readonly #times = new Map<string, number>()
  #forgottenTs = -1
  #lastTs = -1

  static restore(snapshot: WindowSnapshot): TradeWindow {
    const window = new TradeWindow()
    snapshot.ids.forEach((id, i) => {
      window.#times.set(id, snapshot.times[i] ?? -1)
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
    if (this.#times.has(id)) return 'duplicate'
    return ts <= this.#forgottenTs ? 'reentering' : 'new'
  }

  remember(id: string, ts: number): void {
    this.#times.set(id, ts)
    if (ts > this.#lastTs) this.#lastTs = ts
    if (this.#times.size > KEPT_IDS) this.#forgetOldest()
  }

  snapshot(): WindowSnapshot {
    const all = [...this.#times]
    const kept = all.slice(-SNAPSHOT_IDS)
    const forgotten = all.slice(0, all.length - kept.length)
    return {
      ids: kept.map(([id]) => id),
      times: kept.map(([, ts]) => ts),
      forgottenTs: forgotten.reduce((highest, [, ts]) => Math.max(highest, ts), this.#forgottenTs),
      lastTs: this.#lastTs,
    }
  }

  #forgetOldest(): void {
    const [oldest] = this.#times
    if (!oldest) return
    this.#times.delete(oldest[0])
    if (oldest[1] > this.#forgottenTs) this.#forgottenTs = oldest[1]
  }
}
