import { withDeadline } from '../../async/deadline.ts'
import type { ControlRecordOf } from '../../control/control-records.ts'
import { CONTROL_VERSION } from '../../control/record-format.ts'
import { marketKey, shardOf } from '../../domain/events.ts'
import { isAbort, toTapelineError } from '../../errors.ts'
import type { ShardOwnership } from './ownership.ts'
import type { ProducerParts } from './parts.ts'
import type { PastPublisher } from './past-publisher.ts'

/** So many steps may run at once; further requests are not taken, and their askers hear nothing in time. */
const MOST_OPEN = 8
/** After so long a step ends with what it has. */
const STEP_MS = 8_000
/** How long a step and its answer may take. */
const LONGEST_MS = 120_000

/** Publishes trades and candles of the past on request, those of the markets of its own shards (R6). It ends with `close`. */
export function answerBackfills(
  producer: ProducerParts,
  ownership: Pick<ShardOwnership, 'isAssigned'>,
  past: PastPublisher,
): { close(): Promise<void> } {
  const { bus, instance, partitions, log } = producer
  const stop = new AbortController()
  const working = new Set<Promise<void>>()

  const step = async (request: ControlRecordOf<'BACKFILL_REQUEST'>, signal: AbortSignal): Promise<Result> => {
    const { exchange, symbol, from, to, gaps, channel } = request
    const market = { exchange, symbol }
    try {
      const found = await past.publish(market, { from, to }, signal, { forMs: STEP_MS, channel })
      if (found === undefined) {
        const message = `the source has no past ${channel}s of ${marketKey(market)}`
        return { ...NOTHING, failure: { code: 'HISTORY_UNAVAILABLE', message } }
      }
      const { count, since, through } = found
      for (const gap of gaps) {
        const whole = { ...market, ...gap, from: Math.max(gap.from, since), to: Math.min(gap.to, through) }
        if (whole.from < whole.to) await past.recovered(whole, whole.from, count, signal)
      }
      return { trades: count, since, next: through < to ? through : null, failure: null }
    } catch (thrown) {
      if (stop.signal.aborted) throw thrown
      const { code, message } = isAbort(thrown)
        ? { code: 'TIMEOUT', message: 'the step did not end in time' }
        : toTapelineError(thrown)
      return { ...NOTHING, failure: { code, message } }
    }
  }

  const take = async (request: ControlRecordOf<'BACKFILL_REQUEST'>): Promise<void> => {
    const result = await withDeadline(stop.signal, LONGEST_MS, (signal) => step(request, signal))
    const author = { v: CONTROL_VERSION, instance } as const
    await bus.send(
      [{ ...author, kind: 'BACKFILL_RESULT', requestId: request.requestId, ...result }],
      stop.signal,
    )
  }

  const off = bus.on('BACKFILL_REQUEST', (request) => {
    if (!ownership.isAssigned(shardOf(marketKey(request), partitions))) return
    if (working.size >= MOST_OPEN) {
      log.warn({ market: marketKey(request) }, 'too many backfills run; one was not taken')
      return
    }
    const running = take(request)
      .catch((error: unknown) => {
        if (stop.signal.aborted) return
        log.warn({ code: toTapelineError(error).code, err: error }, 'a backfill got no answer')
      })
      .finally(() => working.delete(running))
    working.add(running)
  })

  return {
    async close() {
      off()
      stop.abort()
      await Promise.allSettled(working)
    },
  }
}

type Result = Pick<ControlRecordOf<'BACKFILL_RESULT'>, 'trades' | 'since' | 'next' | 'failure'>

const NOTHING = { trades: 0, since: 0, next: null } as const
