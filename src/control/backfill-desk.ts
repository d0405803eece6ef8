import { onAbort } from '../async/abort.ts'
import { withDeadline } from '../async/deadline.ts'
import { ERROR_KINDS, type ErrorCode, TapelineError } from '../errors.ts'
import type { Backfills } from '../ports/backfills.ts'
import type { ControlBus } from './bus.ts'
import type { ControlRecordOf } from './control-records.ts'
import { CONTROL_VERSION } from './record-format.ts'

interface DeskParts {
  readonly instance: string
  readonly bus: ControlBus
  readonly newId: () => string
}

/** Asks over the control topic that trades or candles of the past are published, and the producer that owns the shard of their market does it. */
export function createBackfillDesk({ instance, bus, newId }: DeskParts): Backfills {
  return {
    async step({ market: { exchange, symbol }, channel, from, to, gaps }, signal) {
      const requestId = newId()
      const answered = Promise.withResolvers<ControlRecordOf<'BACKFILL_RESULT'>>()
      const off = bus.on('BACKFILL_RESULT', (record) => {
        if (record.requestId === requestId) answered.resolve(record)
      })
      const unwatch = onAbort(signal, () =>
        answered.reject(new TapelineError('TIMEOUT', 'no producer of the shard of this market has answered')),
      )
      try {
        await withDeadline(signal, SEND_MS, (deadline) =>
          bus.send(
            [
              {
                ...{ v: CONTROL_VERSION, kind: 'BACKFILL_REQUEST', instance, requestId, exchange, symbol },
                ...{
                  channel,
                  from,
                  to,
                  gaps: gaps.map(({ from: first, to: last, cause }) => ({ from: first, to: last, cause })),
                },
              },
            ],
            deadline,
          ),
        )
        const { failure, trades: count, since, next } = await answered.promise
        if (failure === null) return { count, since, next }
        const code = failure.code in ERROR_KINDS ? (failure.code as ErrorCode) : 'SOURCE_UNAVAILABLE'
        throw new TapelineError(code, failure.message)
      } finally {
        unwatch()
        off()
        // Nobody waits for it any more.
        answered.promise.catch(() => undefined)
      }
    },
  }
}

/** How long it may take to send the request. */
const SEND_MS = 10_000
