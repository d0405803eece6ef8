import type { Log, Meter } from '../src/ports/log.ts'

/** A log that says nothing: for tests whose subject is something else. */
export const quietLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => quietLog,
}

/** A meter that measures nothing. */
export const quietMeter: Meter = { count() {}, gauge() {}, observe() {} }

/** Alerts that nobody hears of. */
export const quietAlerts = { raise: (): void => {}, clear: (): void => {} }
