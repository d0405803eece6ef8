import { startTimer, type Timer } from '../async/timers.ts'
import type { Alert } from '../ports/actors.ts'
import type { Log, Meter } from '../ports/log.ts'

/** What lasts and a person should know about: at most one alert an id, so never more than there are who raise them. */
export interface Alerts {
  /**
   * Raises an alert, or renews the one of this id with another code or message; its `since` stays. With `forMs` it ends by itself when it was not
   * renewed for so long: of what happens, and does not last.
   */
  raise(id: string, code: string, message: string, forMs?: number): void
  /** Ends the alert of this id, if there is one. */
  clear(id: string): void
  /** The alerts that last, the oldest first. */
  list(): readonly Alert[]
}

interface AlertOptions {
  readonly log: Log
  readonly meter: Meter
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

/** Alerts that are logged as they come and go, and counted by code. */
export function createAlerts({ log, meter, now = Date.now }: AlertOptions): Alerts {
  const alerts = new Map<string, Alert>()
  const ends = new Map<string, Timer>()

  const endAfter = (id: string, forMs: number | undefined): void => {
    ends.get(id)?.stop()
    ends.delete(id)
    if (forMs !== undefined) ends.set(id, startTimer(() => clear(id), forMs).unref())
  }

  const clear = (id: string): void => {
    endAfter(id, undefined)
    const former = alerts.get(id)
    if (former === undefined) return
    alerts.delete(id)
    log.warn({ alert: id, code: former.code, since: former.since }, 'alert is over')
    meter.gauge('alerts', alerts.size)
  }

  return {
    raise(id, code, message, forMs) {
      endAfter(id, forMs)
      const former = alerts.get(id)
      alerts.set(id, { id, code, message, since: former?.since ?? new Date(now()).toISOString() })
      if (former?.code === code) return
      log.warn({ alert: id, code }, `alert: ${message}`)
      meter.count('alerts_total', 1, { code })
      meter.gauge('alerts', alerts.size)
    },
    clear,
    list: () => [...alerts.values()],
  }
}
