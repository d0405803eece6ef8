import type { ErrorKind } from './kind.ts'

/** Codes of the database and of SQL. */
export const STORE_ERRORS = {
  STORE_UNAVAILABLE: {
    retryable: true,
    status: 503,
    meaning: 'The database does not answer.',
    remedy:
      'Start the database, or repair the network to it: tapeline doctor says what answers. The platform goes on by itself.',
  },
  STORE_FULL: {
    retryable: true,
    status: 503,
    meaning: 'The database has no room on its disk.',
    remedy: 'Make room, or set store.retention; the platform goes on by itself as soon as there is some.',
  },
  STORE_WRITE_TOO_LARGE: {
    retryable: true,
    status: 503,
    meaning:
      'The database has too little memory, or too few locks, for one write: rows of many chunks take a lock for each.',
    remedy:
      'Nothing has to be done: the platform writes the rows in smaller parts. To spare that, raise max_locks_per_transaction of the server, or store.chunkInterval.',
  },
  STORE_JOBS_FAILING: {
    retryable: true,
    status: 503,
    meaning:
      'Background jobs of the database fail: candles are not refreshed, chunks are not compressed, or old rows are not removed.',
    remedy:
      'Cure what the message of the job names, or let the platform do the work with store.jobs: platform (docs/storage.md#who-runs-the-policies).',
  },
  STORE_UNAUTHORIZED: {
    retryable: false,
    status: 503,
    meaning: 'The database refused the login.',
    remedy: 'Check the user in store.url, and the password in TAPELINE_STORE_PASSWORD or store.passwordFile.',
  },
  STORE_FORBIDDEN: {
    retryable: false,
    status: 503,
    meaning: 'The user may not do in the database what the platform must do there.',
    remedy: 'Make the user the owner of the database, or give it the rights that docs/deploy.md lists.',
  },
  STORE_TLS_FAILED: {
    retryable: false,
    status: 503,
    meaning:
      'No TLS connection to the database came about: it does not speak TLS, demands it, or its certificate is not trusted.',
    remedy: 'Check store.tls and store.tlsCa against what the server is set to.',
  },
  STORE_HOST_UNKNOWN: {
    retryable: false,
    status: 503,
    meaning: 'The name of the database server has no address.',
    remedy: 'Correct the host in store.url.',
  },
  STORE_DATABASE_UNKNOWN: {
    retryable: false,
    status: 503,
    meaning: 'The server has no database of this name.',
    remedy: 'Create the database, or correct its name in store.url.',
  },
  STORE_UNSUPPORTED: {
    retryable: false,
    status: 503,
    meaning: 'PostgreSQL or TimescaleDB has a version that the platform does not support, or is not loaded.',
    remedy: 'Use PostgreSQL 15 to 18, with TimescaleDB 2.20 or newer or without it.',
  },
  MIGRATION_MISMATCH: {
    retryable: false,
    status: 500,
    meaning:
      'A migration that was applied has another checksum now, or the database is newer than the program.',
    remedy: 'Never change an applied migration; run the version that wrote the database, or a newer one.',
  },
  SQL_INVALID: {
    retryable: false,
    status: 400,
    meaning: 'The database refused the statement.',
    remedy: 'Correct the statement; the message says where.',
  },
  SQL_READ_ONLY: {
    retryable: false,
    status: 403,
    meaning: 'The statement would change data; this way in is for reading only.',
    remedy: 'Use select, with, values, table, show or explain.',
  },
  SQL_TOO_LARGE: {
    retryable: false,
    status: 413,
    meaning:
      'The answer is larger than this way in returns, or its statement needs more memory or disk than there is.',
    remedy: 'Bound ts, add a limit, or aggregate. tapeline export writes any number of rows.',
  },
} as const satisfies Record<string, ErrorKind>
