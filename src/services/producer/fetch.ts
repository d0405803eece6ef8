import { setTimeout as delay } from 'node:timers/promises'
import type { SourceBatch } from '../../ports/source.ts'
import type { ProducerParts } from './parts.ts'

/** The most events of one batch: under load batches grow to this, and machines cost little (R1, R12). */
const MOST_ITEMS = 10_000

const UNASSIGNED_WAIT_MS = 100

export interface SourceFetch {
  /** `assigned` is whether there are shards to publish to: without any the source waits. */
  next(waitMs: number, assigned: boolean, signal: AbortSignal): Promise<SourceBatch>
  /** The batch is published: the next call asks the source again. */
  taken(batch: SourceBatch): void
}

/** Pulls from the source, keeping each batch until it is published: a fetch that was aborted in between loses nothing. */
export function createSourceFetch({ source, lingerMs }: ProducerParts): SourceFetch {
  let inHand: SourceBatch | undefined
  return {
    async next(waitMs, assigned, signal) {
      if (!assigned) return delay(UNASSIGNED_WAIT_MS, { items: [] }, { signal })
      inHand ??= await source.next({ maxItems: MOST_ITEMS, lingerMs, waitMs }, signal)
      return inHand
    },
    taken(batch) {
      if (batch === inHand) inHand = undefined
    },
  }
}
