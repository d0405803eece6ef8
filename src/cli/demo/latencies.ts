/** Buckets are 0.1 ms wide; the last one holds everything slower. */
const BUCKET_MICROS = 100
const BUCKETS = 100_000
const SLOWEST_MILLIS = (BUCKETS * BUCKET_MICROS) / 1000

const SHARES = [0.5, 0.99, 0.999]

/** Latencies by their number in each bucket: percentiles of any run, at a bounded size. */
export class Latencies {
  readonly #counts = new Uint32Array(BUCKETS)
  #samples = 0

  add(micros: number): void {
    const bucket = Math.min(BUCKETS - 1, Math.max(0, Math.floor(micros / BUCKET_MICROS)))
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#samples++
  }

  /** The latency that this share of the samples, between 0 and 1, does not exceed, in milliseconds; undefined without any. */
  millisAt(share: number): number | undefined {
    if (this.#samples === 0) return undefined
    let rest = this.#samples * share
    const bucket = this.#counts.findIndex((count) => {
      rest -= count
      return rest <= 0
    })
    return ((bucket + 1) * BUCKET_MICROS) / 1000
  }

  /** Percentiles with the number of samples. One that fewer samples cannot tell, such as p99 of 20, is left out. */
  toString(): string {
    if (this.#samples === 0) return 'not measured (0 samples)'
    const told = SHARES.filter((share, i) => i === 0 || Math.round(this.#samples * (1 - share)) >= 1)
    const percentiles = told.map((share) => `p${share * 100} ${shown(this.millisAt(share) ?? 0)} ms`)
    const samples = this.#samples === 1 ? '1 sample' : `${this.#samples} samples`
    return `${percentiles.join(', ')} (${samples})`
  }
}

function shown(millis: number): string {
  return millis < SLOWEST_MILLIS ? millis.toFixed(1) : `over ${SLOWEST_MILLIS}`
}
