import { pause } from '../async/timers.ts'
import { isAbort, toTapelineError } from '../errors.ts'
import type { Log } from '../ports/log.ts'
import type { Alerts } from '../telemetry/alerts.ts'

const EVERY_MS = 5_000
const ALERT = 'lag'
/** The alert ends below this share of the limit. */
const CALM = 0.5

interface Watched {
  /** How many records of the partitions of this process are not stored yet. */
  readonly countUnstored: (signal: AbortSignal) => Promise<number>
  readonly alerts: Pick<Alerts, 'raise' | 'clear'>
  readonly log: Log
  /** So many records are too many. */
  readonly limit: number
  /** How long they must be too many, in milliseconds. */
  readonly afterMs: number
  /** Milliseconds of a steady clock. */
  readonly now?: () => number
}

/** Raises an alert when the database has been too far behind the fixed topics for too long, until it is well less. */
export function watchLag(watched: Watched, everyMs: number = EVERY_MS): { close(): Promise<void> } {
  const { countUnstored, alerts, log, limit, afterMs, now = () => performance.now() } = watched
  const closing = new AbortController()
  let behindSince: number | undefined

  const look = async (): Promise<void> => {
    const count = await countUnstored(closing.signal)
    if (count <= limit * CALM) {
      behindSince = undefined
      alerts.clear(ALERT)
    } else if (count > limit || behindSince !== undefined) {
      behindSince ??= now()
      const message = `the database is ${count} records behind the fixed topics`
      if (now() - behindSince >= afterMs) alerts.raise(ALERT, 'LAG_HIGH', message)
    }
  }

  const run = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      await pause(everyMs, closing.signal)
      if (closing.signal.aborted) return
      try {
        await look()
      } catch (error) {
        // Whether the broker is away others tell; the count stands as it was.
        if (!isAbort(error)) log.debug({ code: toTapelineError(error).code }, 'the lag was not seen')
      }
    }
  }

  const running = run()
  return {
    async close() {
      closing.abort()
      await running
      alerts.clear(ALERT)
    },
  }
}
