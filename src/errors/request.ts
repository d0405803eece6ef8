import type { ErrorKind } from './kind.ts'

/** Codes of requests to the gateway. */
export const REQUEST_ERRORS = {
  INPUT_INVALID: {
    retryable: false,
    status: 400,
    meaning: 'A request has fields or values that are not acceptable; errors names each.',
    remedy: 'Correct the fields that errors names.',
  },
  BODY_NOT_JSON: {
    retryable: false,
    status: 400,
    meaning: 'The body of the request is not JSON.',
    remedy: 'Send JSON with the header content-type: application/json.',
  },
  MEDIA_TYPE_UNSUPPORTED: {
    retryable: false,
    status: 415,
    meaning: 'The body has a content type that this route does not take.',
    remedy: 'Send JSON with the header content-type: application/json.',
  },
  BODY_TOO_LARGE: {
    retryable: false,
    status: 413,
    meaning: 'The body of the request is larger than this route takes.',
    remedy: 'Send less than 64 KiB.',
  },
  NOT_FOUND: {
    retryable: false,
    status: 404,
    meaning: 'There is nothing at this address.',
    remedy: 'GET /docs lists the routes.',
  },
  METHOD_NOT_ALLOWED: {
    retryable: false,
    status: 405,
    meaning: 'The address exists, but does not take this method.',
    remedy: 'The header allow of the answer names the methods; GET /docs lists the routes.',
  },
  UPGRADE_REQUIRED: {
    retryable: false,
    status: 426,
    meaning: 'The address speaks WebSocket and was called with plain HTTP, or the other way round.',
    remedy: 'Open a WebSocket to /v1/ws; call every other address with plain HTTP.',
  },
  ORIGIN_REFUSED: {
    retryable: false,
    status: 403,
    meaning:
      'The gateway does not answer pages of this site, or, without API keys, not under this host name.',
    remedy:
      'Add the site to gateway.origins (behind a proxy let it pass the header host on); without API keys call the gateway as 127.0.0.1 or localhost.',
  },
  ROW_STREAMS_BUSY: {
    retryable: true,
    status: 503,
    meaning: 'As many answers of all rows (NDJSON, CSV) are under way as the gateway gives at once.',
    remedy:
      'Ask again after the time in retry-after; or read page by page with limit and cursor; or raise gateway.maxRowStreams.',
  },
  BOOK_UNKNOWN: {
    retryable: true,
    status: 404,
    meaning: 'No book of this market stands in the log of the last minutes.',
    remedy:
      'Check the market with tapeline markets, and that its source has channels: [book]; a new book comes with its first snapshot.',
  },
  BOOK_IN_DOUBT: {
    retryable: true,
    status: 503,
    meaning: 'The book of this market may be wrong at present; the answer says why.',
    remedy: 'Ask again: the source fetches a new snapshot by itself. docs/events.md#book lists the reasons.',
  },
  ACTOR_UNKNOWN: {
    retryable: false,
    status: 404,
    meaning: 'No actor of this id runs here.',
    remedy: 'GET /v1/actors lists them.',
  },
  HISTORY_UNAVAILABLE: {
    retryable: false,
    status: 409,
    meaning: 'No source of this platform has past trades, or past candles, of the market.',
    remedy:
      'Name a market of a configured source that has them: docs/sources.md#past-trades and docs/sources.md#past-candles.',
  },
  DEAD_LETTER_UNKNOWN: {
    retryable: false,
    status: 404,
    meaning: 'There is no such dead letter.',
    remedy: 'List them with GET /v1/dead-letters. They are removed after topics.deadLetterRetention.',
  },
  UNAUTHORIZED: {
    retryable: false,
    status: 401,
    meaning: 'The request carries no valid API key.',
    remedy:
      'Send the header authorization: Bearer KEY, with a key from TAPELINE_API_KEYS or tapeline keys create.',
  },
  FORBIDDEN: {
    retryable: false,
    status: 403,
    meaning: 'The caller may not use this route: its key lacks a scope, or it calls from afar.',
    remedy: 'Call it from the same machine, or with an admin key: docs/api.md#keys-and-who-may-call.',
  },
  KEY_UNKNOWN: {
    retryable: false,
    status: 404,
    meaning: 'There is no key of this id.',
    remedy: 'See tapeline keys, or GET /v1/keys. Keys of the environment have no id.',
  },
  KEY_LIMIT: {
    retryable: false,
    status: 429,
    meaning: 'The registry has as many good keys as it may have.',
    remedy: 'Revoke keys that nobody uses: tapeline keys revoke. One for each application is enough.',
  },
} as const satisfies Record<string, ErrorKind>
