import type { Asset } from './markets.ts'
import { hashText, mix32 } from './random.ts'

/** Seconds between the supporting points of each octave: a move of a second up to moves of a day. */
const PERIODS = [1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536] as const

const DAY_SECONDS = 86_400

/**
 * The price of an asset in US dollars as a function of virtual time. Octaves of value noise whose heights grow with the root
 * of their periods look like a random walk, and unlike a walk they can be asked for any time, also one before the
 * start: history and live prices come from the same curve.
 */
export class PricePath {
  readonly #usd: number
  readonly #octaves: readonly { readonly word: number; readonly period: number; readonly height: number }[]

  constructor(seed: number, name: string, asset: Asset) {
    this.#usd = asset.usd
    const octaves = PERIODS.map((period) => ({
      word: hashText(`${seed} path ${name} ${period}`),
      period,
      height: asset.dailyMove * Math.sqrt(period / DAY_SECONDS),
    }))
    this.#octaves = asset.dailyMove > 0 ? octaves : []
  }

  /** US dollars at a virtual time in seconds, which may be negative. */
  at(seconds: number): number {
    let log = 0
    for (const { word, period, height } of this.#octaves) {
      const x = seconds / period
      const cell = Math.floor(x)
      const before = supportingPoint(word, cell)
      const after = supportingPoint(word, cell + 1)
      log += height * (before + (after - before) * (x - cell))
    }
    return this.#usd * Math.exp(log)
  }
}

/** In [-1, 1). */
function supportingPoint(word: number, cell: number): number {
  return mix32(word ^ Math.imul(cell, 0x9e3779b1)) / 2 ** 31
}
