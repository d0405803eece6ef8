import { pause } from '../async/timers.ts'
import { isAbort, toTapelineError } from '../errors.ts'
import type { Log, Meter } from '../ports/log.ts'
import type { Store } from '../ports/store.ts'
import type { Alerts } from '../telemetry/alerts.ts'

const EVERY_MS = 60_000
const ALERT = 'store-jobs'

interface Watched {
  readonly store: Pick<Store, 'tendJobs'>
  readonly alerts: Pick<Alerts, 'raise' | 'clear'>
  readonly log: Log
  readonly meter: Meter
}

/**
 * Tends the background work of the database every minute, and says by an alert, a metric and the log which part of it fails and why.
 * Without that people would only see slower queries and a fuller disk.
 */
export function tendStoreJobs(
  { store, alerts, log, meter }: Watched,
  everyMs: number = EVERY_MS,
): { close(): Promise<void> } {
  const closing = new AbortController()
  const known = new Map<string, string>()

  const look = async (): Promise<void> => {
    const jobs = await store.tendJobs(closing.signal)
    const failed = jobs.flatMap(({ name, failure }) => (failure === undefined ? [] : [{ name, failure }]))
    meter.gauge('store_jobs_failing', failed.length)
    for (const { name, failure } of failed) {
      if (known.get(name) !== failure) log.warn({ job: name, code: 'STORE_JOBS_FAILING' }, failure)
    }
    known.clear()
    for (const { name, failure } of failed) known.set(name, failure)
    if (failed.length === 0) alerts.clear(ALERT)
    else
      alerts.raise(
        ALERT,
        'STORE_JOBS_FAILING',
        failed.map(({ name, failure }) => `${name}: ${failure}`).join('; '),
      )
  }

  const run = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      try {
        await look()
      } catch (error) {
        // Whether the database is away others tell; this says nothing about the jobs.
        if (!isAbort(error))
          log.debug({ code: toTapelineError(error).code }, 'the jobs of the database were not seen')
      }
      await pause(everyMs, closing.signal)
    }
  }

  const running = run()
  return {
    async close() {
      closing.abort()
      await running
    },
  }
}
