import { garbageFrame } from './garbage.ts'
import type { Misbehaviour } from './misbehaviour.ts'
import type { Random } from './random.ts'

/** A trade that was taken out of the order follows after this many ms at the latest, if its market is quiet. */
const LONGEST_HOLD = 100

/** Who receives frames: those who have subscribed to a market's trades. */
export interface Broadcast {
  broadcast(frames: string): void
}

/** How often each distortion happened. */
export interface DistortionCounts {
  duplicates: number
  swaps: number
  garbage: number
}

/** Makes the stream of trades worse, as the modes `duplicate`, `out-of-order` and `garbage` say; loses nothing. */
export class Distorter {
  readonly #random: Random
  readonly #held = new Map<Broadcast, { readonly frame: string; readonly since: number }>()
  readonly counts: DistortionCounts = { duplicates: 0, swaps: 0, garbage: 0 }

  constructor(random: Random) {
    this.#random = random
  }

  /** Sends a trade to its market's subscribers, and whatever else the modes want. `now` in ms. */
  send(market: Broadcast, frame: string, modes: Misbehaviour, now: number): void {
    const random = this.#random
    const held = this.#held.get(market)
    if (!held && random() < modes.share('out-of-order')) {
      this.#held.set(market, { frame, since: now })
      return
    }
    let frames = frame
    if (random() < modes.share('duplicate')) {
      frames += frame
      this.counts.duplicates++
    }
    if (held) {
      frames += held.frame
      this.#held.delete(market)
      this.counts.swaps++
    }
    if (random() < modes.share('garbage')) {
      frames += garbageFrame(random)
      this.counts.garbage++
    }
    market.broadcast(frames)
  }

  /** Sends what was held back since before `LONGEST_HOLD`, or all of it. */
  release(now: number, all: boolean): void {
    for (const [market, held] of this.#held) {
      if (!all && now - held.since < LONGEST_HOLD) continue
      this.#held.delete(market)
      market.broadcast(held.frame)
    }
  }

  /** A frame of garbage by itself, so that quiet markets see some too. */
  garbage(): string {
    this.counts.garbage++
    return garbageFrame(this.#random)
  }
}
