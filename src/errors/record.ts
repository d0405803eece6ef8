import type { ErrorKind } from './kind.ts'

/** Codes of what records hold. */
export const RECORD_ERRORS = {
  EVENT_INVALID: {
    retryable: false,
    status: 422,
    meaning: 'A record does not have the shape or the values of its channel.',
    remedy: 'The record is kept as a dead letter with its position and bytes.',
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
    remedy: 'The record is kept as a dead letter with its position and bytes.',
  },
  BATCH_UNDECODABLE: {
    retryable: false,
    status: 500,
    meaning:
      'A batch of records in the log cannot be read: its checksum is wrong, or what is in it has no known form. Reading goes on after it.',
    remedy:
      'In a fixed topic it is kept as a dead letter with its bytes, and a gap says what is missing. Check the disk of the broker, and who writes into the topic.',
  },
  BATCH_UNPROCESSABLE: {
    retryable: true,
    status: 500,
    meaning: 'A whole batch could not be processed.',
    remedy: 'It is tried again with the batch in hand.',
  },
} as const satisfies Record<string, ErrorKind>
