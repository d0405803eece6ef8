import { onAbort } from '../../async/abort.ts'
import type { Carried, DynamicBatch, StreamBatch } from '../../ports/pipeline.ts'
import { createHand } from '../hand.ts'

/** So many events may wait for one application; the catch-up reader serves what comes beyond. */
const MOST_EVENTS = 50_000
/** The most events of one cycle. Cycles gather what has arrived, so that machines cost little (R12). */
const MOST_EVENTS_A_CYCLE = 10_000

/** What the shared reader has brought for one application, and the machine has not delivered yet. Bounded. */
export interface Inbox {
  push(batch: StreamBatch): void
  /** Waits for batches; gives those in hand again until they are done. */
  receive(signal: AbortSignal): Promise<Carried<DynamicBatch>>
}

/** `onOverflow` hears of each batch without room: the subscriptions of its topic must read it from the log. */
export function createInbox(onOverflow: (batch: StreamBatch) => void): Inbox {
  let waiting: StreamBatch[] = []
  let events = 0
  const hand = createHand<DynamicBatch>()
  let wake: (() => void) | undefined

  const take = (): DynamicBatch => {
    let count = 0
    let taken = 0
    while (taken < waiting.length && count < MOST_EVENTS_A_CYCLE)
      count += weight(waiting[taken++] as StreamBatch)
    const fetches = waiting.slice(0, taken)
    waiting = waiting.slice(taken)
    events -= count
    return { fetches }
  }

  return {
    push(batch) {
      if (events + weight(batch) > MOST_EVENTS) {
        onOverflow(batch)
        return
      }
      waiting.push(batch)
      events += weight(batch)
      wake?.()
    },
    async receive(signal) {
      for (;;) {
        if (hand.held !== undefined) return hand.held
        signal.throwIfAborted()
        if (waiting.length > 0) return hand.give(take())
        await arrival(signal)
      }
    },
  }

  function arrival(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        wake = undefined
        resolve()
      }
      const off = onAbort(signal, end)
      wake = () => {
        off()
        end()
      }
    })
  }
}

/** A batch without events weighs something too: markers and resets must not pile up. */
function weight({ events }: StreamBatch): number {
  return Math.max(1, events.length)
}
