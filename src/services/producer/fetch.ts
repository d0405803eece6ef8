import { withAbort } from '../../async/abort.ts'
import { delay } from '../../async/timers.ts'
import type { Carried } from '../../ports/pipeline.ts'
import type { SourceBatch } from '../../ports/source.ts'
import { createHand } from '../hand.ts'
import type { ProducerParts } from './parts.ts'

/** The most events of one batch: under load batches grow to this, and machines cost little (R1, R12). */
const MOST_ITEMS = 10_000
const AT_ONCE = { maxItems: MOST_ITEMS, lingerMs: 0, waitMs: 0 }

/** How soon it looks again whether there is somewhere to send to. */
const LOOK_AGAIN_MS = 50
/** How often it looks at a source that is away. */
const LOOK_EVERY_MS = 200

export interface SourceFetch {
  /** `maySend`: there are shards to publish to, and the streams stand that must miss nothing. Else the source waits. */
  next(waitMs: number, maySend: boolean, signal: AbortSignal): Promise<Carried<SourceBatch>>
  /** Something else is to be done: ends the wait for data and its linger, or leaves out the next one. */
  wake(): void
  /** Calls back when a source that failed delivers again. */
  onBack(listener: () => void): void
  close(): void
}

/**
 * Pulls from the source, and keeps each batch until it is published: an aborted fetch loses nothing. After a failure it looks by itself
 * whether the source is back, so that nobody waits for a back-off.
 */
export function createSourceFetch({ source, lingerMs }: ProducerParts): SourceFetch {
  const hand = createHand<SourceBatch>()
  let listener = (): void => {}
  let isWoken = false
  let waiting: AbortController | undefined
  let looking: { readonly stop: AbortController; readonly done: Promise<void> } | undefined

  const look = async (signal: AbortSignal): Promise<void> => {
    while (hand.held === undefined) {
      await delay(LOOK_EVERY_MS, signal)
      const batch = await source.next(AT_ONCE, signal).catch(() => undefined)
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

  const pull = async (waitMs: number, signal: AbortSignal): Promise<SourceBatch> => {
    try {
      if (isWoken) return await source.next(AT_ONCE, signal)
      return await withAbort(signal, (controller) => {
        waiting = controller
        return source.next({ maxItems: MOST_ITEMS, lingerMs, waitMs }, controller.signal)
      })
    } catch (error) {
      if (signal.aborted || !isWoken) throw error
      // An aborted pull has left there what the source had.
      return await source.next(AT_ONCE, signal)
    } finally {
      waiting = undefined
      isWoken = false
    }
  }

  return {
    async next(waitMs, maySend, signal) {
      await endLooking()
      if (!maySend) {
        await delay(LOOK_AGAIN_MS, signal)
        return { items: [], done: () => {} }
      }
      try {
        if (hand.held !== undefined) return hand.held
        const batch = await pull(waitMs, signal)
        // A source that is closed answers at once: a machine that asks it again and again leaves room for all else.
        if (batch.items.length === 0) await delay(0, signal)
        return hand.give(batch)
      } catch (error) {
        if (!signal.aborted) beginToLook()
        throw error
      }
    },
    wake() {
      isWoken = true
      waiting?.abort()
    },
    onBack(given) {
      listener = given
    },
    close() {
      looking?.stop.abort()
    },
  }
}
