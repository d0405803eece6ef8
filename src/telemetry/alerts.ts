import type { Alert } from '../ports/actors.ts'
import type { Log, Meter } from '../ports/log.ts'

/** What lasts and a person should know about: at most one alert an id, so never more than there are who raise them. */
export interface Alerts {
  /** Raises an alert, or renews the one of this id with another code or message; its `since` stays. */
  raise(id: string, code: string, message: string): void
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
  return {
    raise(id, code, message) {
      const former = alerts.get(id)
      alerts.set(id, { id, code, message, since: former?.since ?? new Date(now()).toISOString() })
      if (former?.code === code) return
      log.warn({ alert: id, code }, `alert: ${message}`)
      meter.count('alerts_total', 1, { code })
      meter.gauge('alerts', alerts.size)
    },
    clear(id) {
      const former = alerts.get(id)
      if (former === undefined) return
      alerts.delete(id)
      log.warn({ alert: id, code: former.code, since: former.since }, 'alert is over')
      meter.gauge('alerts', alerts.size)
    },
    list: () => [...alerts.values()],
  }
}
