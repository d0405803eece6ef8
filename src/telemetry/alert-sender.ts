import { doubled } from '../async/back-off.ts'
import { orAfter } from '../async/deadline.ts'
import { deadlineAfter, pause } from '../async/timers.ts'
import { toTapelineError } from '../errors.ts'
import type { Alert } from '../ports/actors.ts'
import type { AlertNews, AlertReceiver } from '../ports/alert-receiver.ts'
import type { Log } from '../ports/log.ts'

/** How often it looks at the alerts. */
const LOOK_MS = 1_000
/** An alert that comes back within this time has not ended: whoever is woken at night is woken once. */
const CALM_MS = 10_000
const ANSWER_MS = 10_000
const FIRST_PAUSE_MS = 1_000
const LONGEST_PAUSE_MS = 60_000

interface SenderOptions {
  readonly alerts: { list(): readonly Alert[] }
  readonly receiver: AlertReceiver
  readonly log: Log
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

/** What a receiver knows of an alert. */
interface Told {
  readonly alert: Alert
  /** When it was seen to be gone; undefined while it lasts. */
  goneAt: number | undefined
}

/**
 * Tells a receiver when alerts begin and end, until `close`, which tells it once more what has ended with the process. A receiver that cannot be
 * reached is asked again with a back-off; it then hears of what lasts, and of the end of what it has heard of. What came and went meanwhile is in
 * the log.
 */
export function startAlertSender(options: SenderOptions): { close(): Promise<void> } {
  const { receiver, log, now = Date.now } = options
  const told = new Map<string, Told>()
  const stop = new AbortController()
  let failures = 0
  let repeatedAt = now()

  const newsAt = (time: number): AlertNews => {
    const current = new Map(options.alerts.list().map((alert) => [alert.id, alert]))
    const isRepeat = receiver.repeatMs !== undefined && time - repeatedAt >= receiver.repeatMs
    const raised = [...current.values()].filter(
      ({ id, code }) => isRepeat || told.get(id)?.alert.code !== code,
    )
    for (const [id, each] of told) each.goneAt = current.has(id) ? undefined : (each.goneAt ?? time)
    const ended = [...told.values()].flatMap(({ alert, goneAt }) =>
      goneAt !== undefined && time - goneAt >= CALM_MS
        ? [{ ...alert, endedAt: new Date(goneAt).toISOString() }]
        : [],
    )
    if (isRepeat) repeatedAt = time
    return { raised, ended }
  }

  const tell = async ({ raised, ended }: AlertNews, signal: AbortSignal): Promise<void> => {
    if (raised.length + ended.length === 0) return
    await receiver.tell({ raised, ended }, orAfter(signal, ANSWER_MS))
    for (const alert of raised) told.set(alert.id, { alert, goneAt: undefined })
    for (const { id } of ended) told.delete(id)
  }

  const run = async (): Promise<void> => {
    const { signal } = stop
    while (!signal.aborted) {
      try {
        await tell(newsAt(now()), signal)
        if (failures > 0) log.warn({ receiver: receiver.name }, 'the receiver of alerts is told again')
        failures = 0
      } catch (thrown) {
        if (signal.aborted) return
        const { code, message } = toTapelineError(thrown, 'ALERT_NOT_SENT')
        if (failures === 0)
          log.error({ receiver: receiver.name, code, reason: message }, 'alerts are not sent')
        failures++
      }
      await pause(failures === 0 ? LOOK_MS : doubled(FIRST_PAUSE_MS, LONGEST_PAUSE_MS, failures - 1), signal)
    }
  }

  const running = run()
  return {
    async close() {
      stop.abort()
      await running
      // Alerts end with their process: nobody else would tell it.
      const signal = deadlineAfter(FIRST_PAUSE_MS)
      const endedAt = new Date(now()).toISOString()
      const ended = [...told.values()].map(({ alert }) => ({ ...alert, endedAt }))
      await tell({ raised: [], ended }, signal).catch((thrown: unknown) => {
        const { code, message } = toTapelineError(thrown, 'ALERT_NOT_SENT')
        log.warn({ receiver: receiver.name, code, reason: message }, 'the end of alerts was not sent')
      })
    },
  }
}
