import type { ChunkSpread } from '../../ports/pipeline.ts'

/**
 * The most chunks that one transaction writes to. A new chunk takes three locks, one in the columnstore takes more, and all transactions of a
 * server share 6,400 by default.
 */
export const MOST_CHUNKS = 128

export const NO_CHUNKS: ChunkSpread = {
  direct: 0,
  low: Number.POSITIVE_INFINITY,
  high: Number.NEGATIVE_INFINITY,
}

/** How many chunks a transaction over these rows touches. */
export function chunkCount({ direct, low, high }: ChunkSpread): number {
  return direct + Math.max(0, high - low + 1)
}

/** The chunks of both. */
export function joinSpreads(a: ChunkSpread, b: ChunkSpread): ChunkSpread {
  return { direct: a.direct + b.direct, low: Math.min(a.low, b.low), high: Math.max(a.high, b.high) }
}
