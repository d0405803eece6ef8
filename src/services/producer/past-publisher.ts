import { onAbort } from '../../async/abort.ts'
import { withDeadline } from '../../async/deadline.ts'
import type { Status } from '../../domain/events.ts'
import type { OpenGap } from '../../domain/open-gaps.ts'
import { TapelineError } from '../../errors.ts'
import type { FetchedBatch } from '../../ports/pipeline.ts'
import { type Market, type PastChannel, type ReenteringEvent, sourceOf } from '../../ports/source.ts'
import type { ProducerParts } from './parts.ts'

/** So many events of the past go in one batch: what comes live waits no longer than for them. */
const MOST_ITEMS = 1_000
/** A live batch with more says that others wait behind it. */
const FEW_ITEMS = 1_000
/** How long a batch may wait for its turn, and then for its publication. */
const STEP_MS = 120_000

/** What of a time came from the history of a source. */
interface FoundPast {
  /** So many events are published. */
  readonly count: number
  /** As of `HistoryPage`. */
  readonly since: number
  /** All up to this event time is published. */
  readonly through: number
}

/**
 * Has trades and candles of the past enter through the producer's machine, as dead letters do: order, offsets, retries and take-over are those of all data. Each batch waits
 * until what comes live has had its turn.
 */
export interface PastPublisher {
  listen(onBatch: (batch: FetchedBatch) => void): () => void
  /** The machine has fetched so many live items. */
  fetched(items: number): void
  /**
   * Publishes what the source has of a time; after `forMs` it ends with what it has. Undefined where it has no history of the market. Raises what `Source.history` does, TIMEOUT, and
   * FENCED where the shard is another process's by now.
   */
  publish(
    market: Market,
    range: { readonly from: number; readonly to: number },
    signal: AbortSignal,
    options?: { readonly forMs?: number; readonly channel?: PastChannel },
  ): Promise<FoundPast | undefined>
  /** Says that nothing is missing of a gap from an event time on, by so many trades, and that what lies before it is lost: nobody asks for that again. */
  recovered(gap: OpenGap, since: number, trades: number, signal: AbortSignal): Promise<void>
}

export function createPastPublisher({ source, now }: ProducerParts): PastPublisher {
  let onBatch = (_: FetchedBatch): void => {}
  /** Those that wait for their turn. */
  const turns = new Set<() => void>()

  const settled = (begin: (resolve: () => void) => void, signal: AbortSignal): Promise<void> =>
    withDeadline(
      signal,
      STEP_MS,
      (deadline) =>
        new Promise((resolve, reject) => {
          const off = onAbort(deadline, () => reject(deadline.reason))
          begin(() => {
            off()
            resolve()
          })
        }),
    )

  const send = async (events: readonly ReenteringEvent[], signal: AbortSignal): Promise<void> => {
    let turn = (): void => {}
    await settled((resolve) => {
      turn = resolve
      turns.add(turn)
    }, signal).finally(() => turns.delete(turn))
    let published = 0
    const items = events.map((event): ReenteringEvent => ({ ...event, published: () => published++ }))
    await settled((resolve) => onBatch({ items, done: resolve }), signal)
    if (published < items.length) throw new TapelineError('FENCED', "the shard is another process's by now")
  }

  return {
    listen(listener) {
      onBatch = listener
      return () => {
        onBatch = () => {}
      }
    },
    fetched(items) {
      if (items > FEW_ITEMS) return
      for (const turn of turns) turn()
    },
    async publish(market, range, signal, { forMs = Number.POSITIVE_INFINITY, channel } = {}) {
      const pages = source.history?.(market, range, signal, channel)
      if (pages === undefined) return undefined
      const end = performance.now() + forMs
      const found = (through: number): FoundPast => ({ count, since: reached, through })
      let count = 0
      let reached = range.from
      let last = range.from
      for await (const { events, since } of pages) {
        reached = since
        for (let at = 0; at < events.length; at += MOST_ITEMS) {
          const part = events.slice(at, at + MOST_ITEMS)
          await send(
            part.map((event) => ({ ...event, reentering: true, isPast: true })),
            signal,
          )
          count += part.length
        }
        last = Math.max(last, events.at(-1)?.event.ts ?? 0)
        // It goes on with the events of the last moment, of which there may be more.
        if (performance.now() > end && last > range.from) return found(last)
      }
      return found(range.to)
    },
    async recovered({ exchange, symbol, from, to, cause }, since, trades, signal) {
      const name = sourceOf(source, { exchange, symbol })
      const isLost = since >= to && since > from
      const event: Status = {
        ...{ source: name, exchange, symbol, state: 'recovered', to, ts: Math.round(now() * 1_000) },
        detail: isLost
          ? `nothing is filled: the history of ${name} does not reach back so far`
          : `filled from the history of ${name}: ${trades} trades`,
        ...(!isLost && { from: since }),
        ...(since > from && { lostFrom: from }),
        ...(cause !== undefined && { cause }),
      }
      await send([{ channel: 'status', event }], signal)
    },
  }
}
