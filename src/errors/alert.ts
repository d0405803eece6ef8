import type { ErrorKind } from './kind.ts'

/** Codes that are alerts, and no failure of what somebody asked for. */
export const ALERT_ERRORS = {
  ALERT_NOT_SENT: {
    retryable: true,
    status: 502,
    meaning:
      'Who is to be told of alerts cannot be reached, did not answer in time, or answered something else than 2xx.',
    remedy: 'Check alerts.alertmanager and TAPELINE_ALERTS_WEBHOOK; the platform tries again by itself.',
  },
  GAP_FLAGGED: {
    retryable: false,
    status: 500,
    meaning:
      'Trades are missing, and a gap in market.status says which. It is an alert, which ends when no gap came for ten minutes.',
    remedy:
      "tapeline gaps lists them: cause says why, and docs/gaps.md what to do. Where they come without restarts, look at the source's connection and limits.",
  },
  DEAD_LETTERS: {
    retryable: false,
    status: 500,
    meaning:
      'Records cannot be stored, and were kept as dead letters. It is an alert, which ends when none came for ten minutes.',
    remedy:
      'tapeline dead-letters says which and why; docs/operations.md#dead-letters how to publish them again.',
  },
  LAG_HIGH: {
    retryable: true,
    status: 503,
    meaning:
      'The database is further behind the fixed topics than alerts.lag allows, for longer than alerts.after. It is an alert, which ends below half of that.',
    remedy:
      'Look for long queries and for errors of the database; raise store.lanes, or start more processes with the role consumer-fixed: docs/servers.md#scaling.',
  },
} as const satisfies Record<string, ErrorKind>
