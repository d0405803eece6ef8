import { delay } from '../../async/timers.ts'
import type { Carried } from '../../ports/pipeline.ts'
import type { SourceBatch } from '../../ports/source.ts'
import { createHand } from '../hand.ts'
import type { ProducerParts } from './parts.ts'

/** The most events of one batch: under load batches grow to this, and machines cost little (R1, R12). */
const MOST_ITEMS = 10_000

/** How soon it looks again whether there is somewhere to send to. */
const LOOK_AGAIN_MS = 50
/** How often a source that is away is looked at meanwhile. */
const LOOK_EVERY_MS = 200

export interface SourceFetch {
  /** `maySend` is whether there are shards to publish to, and the streams that must not miss anything: else the source waits. */
  next(waitMs: number, maySend: boolean, signal: AbortSignal): Promise<Carried<SourceBatch>>
  /** Calls back when a source that failed delivers again. */
  onBack(listener: () => void): void
  close(): void
}

/**
 * Pulls from the source, keeping each batch until it is done, that is published: a fetch that was aborted in between loses nothing.
 * After a failure it goes on looking by itself, so that nobody has to wait for a back-off when the source is back.
 */
export function createSourceFetch({ source, lingerMs }: ProducerParts): SourceFetch {
  const hand = createHand<SourceBatch>()
  let listener = (): void => {}
  let looking: { readonly stop: AbortController; readonly done: Promise<void> } | undefined

  const look = async (signal: AbortSignal): Promise<void> => {
    while (hand.held === undefined) {
      await delay(LOOK_EVERY_MS, signal)
      const batch = await source
        .next({ maxItems: MOST_ITEMS, lingerMs: 0, waitMs: 0 }, signal)
        .catch(() => undefined)
      if (batch !== undefined) hand.give(batch)
    }
    listener()
  }

  const beginToLook = (): void => {
    if (looking !== undefined) return
    const stop = new AbortController()
    // It ends with an abort, or with a batch.
    looking = { stop, done: look(stop.signal).catch(() => undefined) }
  }

  /** The source takes one call at a time. */
  const endLooking = async (): Promise<void> => {
    const ended = looking
    looking = undefined
    ended?.stop.abort()
    await ended?.done
  }

  return {
    async next(waitMs, maySend, signal) {
      await endLooking()
      if (!maySend) {
        await delay(LOOK_AGAIN_MS, signal)
        return { items: [], done: () => {} }
      }
      try {
        return hand.held ?? hand.give(await source.next({ maxItems: MOST_ITEMS, lingerMs, waitMs }, signal))
      } catch (error) {
        if (!signal.aborted) beginToLook()
        throw error
      }
    },
    onBack(given) {
      listener = given
    },
    close() {
      looking?.stop.abort()
    },
  }
}
