import { copyMemory, placeBefore, type ReaderMemory } from './reader-rules.ts'
import type { Position } from './record.ts'

/** Where a reader leaves a topic that its lease has had: what of the fixed topic lies at or after these offsets is not its own any more (R13). */
export interface SeamBound {
  /** The fixed topic. */
  readonly topic: string
  /** Per partition: of the lease, and of the reader. */
  readonly seam: readonly number[]
  readonly offsets: number[]
}

/**
 * The seam of one reader: that of its lease, or, in a partition of which it had got more before it heard of the move, after the last that it got. All
 * that one fixed record causes lies on one side.
 */
export function boundOf(topic: string, seam: readonly number[], { positions }: ReaderMemory): SeamBound {
  const got = positions[topic]
  return { topic, seam, offsets: seam.map((offset, k) => Math.max(offset, (got?.[k]?.[0] ?? -1) + 1)) }
}

/** A partition begins anew: what the reader had got of it does not count any more. */
export function beginAnew({ topic, seam, offsets }: SeamBound, position: Position): void {
  const { partition } = position
  if (position.topic === topic) offsets[partition] = seam[partition] ?? Number.POSITIVE_INFINITY
}

export function isBeyond({ topic, offsets }: SeamBound, position: Position | undefined): boolean {
  return (
    position?.topic === topic && position.offset >= (offsets[position.partition] ?? Number.POSITIVE_INFINITY)
  )
}

/**
 * What the log tells in front of a place where a reader was told `reset`, without what lies after the seam: the reader has not got that here, and
 * the next topic has it.
 */
export function inFrontOfSeam(topic: string, seam: readonly number[], memory: ReaderMemory): ReaderMemory {
  const found = copyMemory(memory)
  const own = found.positions[topic] ?? {}
  for (const [k, place] of Object.entries(own)) {
    const offset = seam[Number(k)] ?? 0
    if (place[0] < offset) continue
    // Nothing lies in front of the beginning.
    if (offset === 0) delete own[Number(k)]
    else own[Number(k)] = placeBefore(offset)
  }
  return found
}
