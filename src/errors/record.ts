import type { ErrorKind } from './kind.ts'

/** Codes of what records hold. */
export const RECORD_ERRORS = {
  EVENT_INVALID: {
    retryable: false,
    status: 422,
    meaning: 'A record does not have the shape or the values of its channel.',
    remedy:
      'tapeline dead-letters show ID has what the record held. Cure the cause, then tapeline dead-letters replay ID.',
  },
  UPGRADE_NEEDED: {
    retryable: true,
    status: 503,
    meaning:
      'A newer version of the platform wrote something that this process does not understand. It leaves what depends on it to newer ones, deletes nothing, and goes on with the rest.',
    remedy: 'Update this process to the version of the others: docs/servers.md#versions-side-by-side.',
  },
  EVENT_UNDECODABLE: {
    retryable: false,
    status: 422,
    meaning: 'A record is not JSON, or has an unknown schema version.',
    remedy:
      'tapeline dead-letters show ID has what the record held. Find out who writes into the topic: only the platform may.',
  },
  BATCH_UNDECODABLE: {
    retryable: false,
    status: 500,
    meaning:
      'A batch of records in the log cannot be read: its checksum is wrong, or what is in it has no known form. Reading goes on after it.',
    remedy:
      'Check the disk of the broker, and who writes into the topic. tapeline gaps says what is missing of a fixed topic, tapeline dead-letters keeps the bytes.',
  },
  BATCH_UNPROCESSABLE: {
    retryable: true,
    status: 500,
    meaning: 'A whole batch could not be processed.',
    remedy:
      'The platform tries it again by itself. If it lasts, tapeline actors and the log have the cause: please report them.',
  },
} as const satisfies Record<string, ErrorKind>
