import type { Alert } from './actors.ts'

/** What somebody outside is told of alerts. */
export interface AlertNews {
  readonly raised: readonly Alert[]
  /** Those that are over, with the time of their end, ISO 8601. */
  readonly ended: readonly (Alert & { readonly endedAt: string })[]
}

/** Somebody outside who is told when alerts begin and end. */
export interface AlertReceiver {
  readonly name: string
  /** The receiver forgets what it is not told again: all alerts that last are repeated so often, in milliseconds. */
  readonly repeatMs?: number
  /** Raises ALERT_NOT_SENT. */
  tell(news: AlertNews, signal: AbortSignal): Promise<void>
}
