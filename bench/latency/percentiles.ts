/** The shares of a distribution that are told. */
export const SHARES = [0.5, 0.99, 0.999] as const

/** In ms, in the order of SHARES. */
export type Percentiles = readonly number[]

export function percentilesOf(values: Float64Array): Percentiles {
  const sorted = values.toSorted()
  return SHARES.map(
    (share) => sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? NaN,
  )
}

export function describePercentiles(percentiles: Percentiles): string {
  return SHARES.map((share, i) => `p${share * 100} ${percentiles[i]?.toFixed(1)}`).join(', ')
}
