import { redactText } from './secrets.ts'

/** What is known of an error code in general; what one occurrence adds stands in the error itself. */
interface ErrorKind {
  /** Whether the same attempt may succeed later without a person doing anything. */
  readonly retryable: boolean
  /** HTTP status when the error reaches an application. */
  readonly status: number
  /** What the error means, for `docs/errors.md`. */
  readonly meaning: string
  /** What a user can do, unless the occurrence says something more precise. */
  readonly remedy: string
}

/**
 * Every coded error. Codes are stable: programs may depend on them. `docs/errors.md` is generated from
 * this table by `npm run docs`.
 */
export const ERROR_KINDS = {
  NODE_TOO_OLD: {
    retryable: false,
    status: 500,
    meaning: 'The running Node is older than the platform needs.',
    remedy:
      'In the checkout run npm ci once, then everything through npm, which takes the Node 24 of the checkout: npm start, npm run -s tapeline -- COMMAND.',
  },
  USAGE: {
    retryable: false,
    status: 400,
    meaning: 'A command was called with words or flags it does not take.',
    remedy: 'See tapeline COMMAND --help.',
  },
  CONFIG_INVALID: {
    retryable: false,
    status: 500,
    meaning: 'A setting in the configuration file, the environment or a flag is not acceptable.',
    remedy: 'Correct the named setting; docs/configuration.md lists all of them.',
  },
  PARTITIONS_CHANGED: {
    retryable: false,
    status: 500,
    meaning: 'The number of partitions differs from the one the data was first written with.',
    remedy:
      'Set topics.partitions back to the former number. For another one start anew: embedded with another folder (--data), on a broker with other topics.prefix, topics.dynamicPrefix and topics.controlPrefix.',
  },
  DATA_FOLDER_LOCKED: {
    retryable: false,
    status: 503,
    meaning: 'Another process uses the data folder.',
    remedy: 'Stop the other process, or give this one another folder with --data.',
  },
  DATA_FOLDER_UNUSABLE: {
    retryable: false,
    status: 500,
    meaning: 'The data folder cannot be created, read or written, or was written by a newer version.',
    remedy: 'Check the path and its permissions, or choose another folder with --data.',
  },
  NOT_RUNNING: {
    retryable: false,
    status: 503,
    meaning: 'The command needs a running platform and found none.',
    remedy: 'Start one with npm start, or name its folder with --data.',
  },
  FILE_UNWRITABLE: {
    retryable: false,
    status: 500,
    meaning: 'A file that a command was told to write cannot be written.',
    remedy: 'Make room on the disk, look at the rights of the folder, or name another file.',
  },
  PORT_IN_USE: {
    retryable: false,
    status: 500,
    meaning: 'The address to listen on is taken.',
    remedy: 'Choose another one with --port.',
  },
  PUBLIC_WITHOUT_KEYS: {
    retryable: false,
    status: 500,
    meaning: 'The gateway was told to listen on a public address, but no API keys are configured.',
    remedy: 'Set TAPELINE_API_KEYS (name:key,name:key), or listen on 127.0.0.1.',
  },
  INTERNAL: {
    retryable: true,
    status: 500,
    meaning: 'Something failed that has no code of its own: a defect.',
    remedy: 'Please report it with the log around it.',
  },
  TIMEOUT: {
    retryable: true,
    status: 504,
    meaning: 'A wait reached its deadline.',
    remedy:
      'The platform tries its own work again by itself; ask again yourself, or for less. If it lasts, look at the load and at tapeline actors.',
  },
  SHUTTING_DOWN: {
    retryable: true,
    status: 503,
    meaning: 'The process is stopping and takes no more work.',
    remedy: 'Connect to another process, or again when it is back.',
  },

  SOURCE_UNAVAILABLE: {
    retryable: true,
    status: 502,
    meaning: 'No configured way to the source delivers.',
    remedy: 'Check the network and the service; the platform goes on trying by itself.',
  },
  SOURCE_UNAUTHORIZED: {
    retryable: true,
    status: 502,
    meaning: 'The source refused the key.',
    remedy: 'Check CRYPTOCOMPARE_API_KEY. A source that takes no key may refuse the address of this machine.',
  },
  SOURCE_RATE_LIMITED: {
    retryable: true,
    status: 502,
    meaning: 'The source refuses calls because of its rate limit.',
    remedy: 'Nothing to do: the platform waits. Fewer markets or a larger plan help.',
  },
  SOURCE_LIBRARY_MISSING: {
    retryable: false,
    status: 500,
    meaning: 'A source needs a library that is not installed.',
    remedy: 'npm install ccxt, in the folder where tapeline is installed or started.',
  },
  SOURCE_STALE: {
    retryable: true,
    status: 502,
    meaning: 'The connection is open, but neither heartbeats nor data arrive.',
    remedy: 'Nothing to do: the platform connects again.',
  },
  SOURCE_MALFORMED: {
    retryable: false,
    status: 502,
    meaning: 'The source sent something that is not of its own protocol, or a time that cannot be.',
    remedy:
      'Counted and left out. If it lasts, the protocol may have changed (please report a sample), or the clock of this machine is wrong.',
  },
  MARKET_UNKNOWN: {
    retryable: false,
    status: 502,
    meaning: 'The source does not know a market that was asked for.',
    remedy: 'Remove it from source.markets, or correct its name.',
  },
  CHANNEL_UNKNOWN: {
    retryable: false,
    status: 502,
    meaning: 'The source has a market that was asked for, but not all of its channels.',
    remedy: 'Nothing to do: the other channels are delivered. See the channels in source.channels.',
  },
  CAPTURE_INVALID: {
    retryable: false,
    status: 400,
    meaning: 'A file of recorded frames cannot be read.',
    remedy: 'Check the path; docs/sources.md says which files can be replayed.',
  },

  BROKER_UNAVAILABLE: {
    retryable: true,
    status: 503,
    meaning: 'The broker does not answer.',
    remedy: 'Check the broker; the platform goes on trying by itself.',
  },
  BROKER_FULL: {
    retryable: true,
    status: 503,
    meaning: 'The embedded broker has no room on the disk of its data folder.',
    remedy:
      'Make room, or set topics.retention; the platform goes on by itself as soon as there is some. What arrives meanwhile is kept up to 200,000 events.',
  },
  BROKER_UNAUTHORIZED: {
    retryable: false,
    status: 503,
    meaning: 'The broker refused the user or the password.',
    remedy:
      'Check broker.sasl and broker.username, and the password in TAPELINE_BROKER_PASSWORD or broker.passwordFile.',
  },
  BROKER_LOGIN_MISMATCH: {
    retryable: false,
    status: 503,
    meaning:
      'The listener of the broker takes no login, wants one, or wants one of another kind than broker.sasl. User and password were not looked at.',
    remedy:
      'Set broker.sasl to what the listener takes, or name the port of another one in broker.bootstrap.',
  },
  BROKER_FORBIDDEN: {
    retryable: false,
    status: 503,
    meaning: 'The user may not do on the broker what the platform must do there.',
    remedy: 'Give the user the rights that docs/deploy.md lists (topics, groups, transactional ids).',
  },
  BROKER_TLS_FAILED: {
    retryable: false,
    status: 503,
    meaning:
      'No TLS connection to the broker came about: one side does not speak it, or a certificate is not trusted.',
    remedy: 'Check broker.tls, broker.tlsCa and the port: a listener speaks either TLS or plain text.',
  },
  BROKER_HOST_UNKNOWN: {
    retryable: false,
    status: 503,
    meaning: 'The name of a broker has no address.',
    remedy: 'Correct broker.bootstrap, or the names that the broker advertises.',
  },
  BROKER_UNSUPPORTED: {
    retryable: false,
    status: 503,
    meaning: 'The broker is too old, or lacks something that the platform needs.',
    remedy: 'Use Apache Kafka 3.7 or newer, or Redpanda 24 or newer.',
  },
  BROKER_REFUSED: {
    retryable: false,
    status: 503,
    meaning:
      'The broker refuses what the platform asks for, as it is: by a policy, a limit or a setting of the broker. Asking again does not help.',
    remedy:
      'The message says what the broker refuses. Change the setting that it names, here or on the broker.',
  },
  TOPIC_UNKNOWN: {
    retryable: false,
    status: 404,
    meaning: 'There is no topic of this name.',
    remedy: 'tapeline streams topics lists those that exist.',
  },
  TOPIC_MISSING: {
    retryable: true,
    status: 503,
    meaning: 'The broker does not show a topic that the platform has and has not ended. It is waited for.',
    remedy:
      'Check the broker. If somebody deleted the topic of a stream, its lease is ended within a minute, and the next request makes a new one.',
  },
  TOPIC_REPLACED: {
    retryable: true,
    status: 503,
    meaning: 'Somebody else deleted a topic of the platform and made another one of the same name.',
    remedy:
      'Find out who did it. The topic of a stream is not used any more: ask for the stream again. A fixed topic is: what was not stored of the former one is lost.',
  },
  TOPIC_IN_USE: {
    retryable: false,
    status: 409,
    meaning: 'The registry knows the topic: it belongs to a stream, and goes with it.',
    remedy: 'End the streams that use it: tapeline streams.',
  },
  PREFIX_TAKEN: {
    retryable: false,
    status: 409,
    meaning:
      'Topics of these names are in use, but the registry of this platform knows nothing of them: they belong to another one.',
    remedy:
      'Choose other topics.prefix, topics.dynamicPrefix and topics.controlPrefix: docs/kafka.md#a-broker-that-is-shared.',
  },
  TOPIC_EXISTS: {
    retryable: false,
    status: 409,
    meaning: 'A topic of this name exists or existed before; names are never used twice.',
    remedy: 'Choose another name.',
  },
  OFFSET_OUT_OF_RANGE: {
    retryable: false,
    status: 410,
    meaning: 'Records were asked for that retention has removed, or that do not exist yet.',
    remedy: 'Read from the earliest or the latest offset.',
  },
  OFFSET_GOES_BACK: {
    retryable: false,
    status: 500,
    meaning:
      'A write would have moved the stored offset of a partition back, and stored what lies in between twice. Nothing was written.',
    remedy:
      'This is an error of the platform: report it. The partition is read again from its stored offset.',
  },
  RECORD_TOO_LARGE: {
    retryable: false,
    status: 413,
    meaning: 'A record is larger than the broker takes. It is set aside, and the others go on.',
    remedy:
      'The platform takes records of 1 MiB. Where a topic takes less, raise its max.message.bytes and segment.bytes, or message.max.bytes of the broker.',
  },
  FENCED: {
    retryable: false,
    status: 409,
    meaning: 'Another process has taken over: this one may not write there any more.',
    remedy: 'Nothing to do: the work has moved to the new owner.',
  },

  STORE_UNAVAILABLE: {
    retryable: true,
    status: 503,
    meaning: 'The database does not answer.',
    remedy: 'Check the database; the platform goes on trying by itself.',
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
      'Nothing: it is written in smaller parts. To spare these, raise max_locks_per_transaction of the server, or store.chunkInterval.',
  },
  STORE_JOBS_FAILING: {
    retryable: true,
    status: 503,
    meaning:
      'Background jobs of the database fail: candles are not refreshed, chunks are not compressed, or old rows are not removed.',
    remedy:
      'Cure what the message of the job names, or let the platform do the work: store.jobs: platform (docs/storage.md).',
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
    remedy: 'Use select, with, show, explain or values.',
  },
  SQL_TOO_LARGE: {
    retryable: false,
    status: 413,
    meaning:
      'The answer is larger than this way in returns, or its statement needs more memory or disk than there is.',
    remedy: 'Add a limit, or aggregate.',
  },

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
    remedy: 'Update this process to the version of the others: docs/operations.md#versions-side-by-side.',
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
  STREAM_UNKNOWN: {
    retryable: false,
    status: 404,
    meaning: 'There is no stream of this id, it has ended, or it belongs to another application.',
    remedy: 'GET /v1/streams lists yours; POST /v1/streams asks for a new one.',
  },
  STREAM_LIMIT: {
    retryable: false,
    status: 429,
    meaning: 'The application has as many streams as it may have.',
    remedy: 'End some with DELETE /v1/streams/{id}, or raise streams.maxPerApplication.',
  },
  STREAM_STANDING: {
    retryable: false,
    status: 409,
    meaning: 'The configuration asks for the stream, and says what it is: no request changes that.',
    remedy: 'Change it under streams.standing of the configuration, or ask for a stream of your own.',
  },
  MOVE_LIMIT: {
    retryable: false,
    status: 429,
    meaning: 'The stream has moved so often that no more of its former topics can be kept for its cursors.',
    remedy: 'Ask for a new stream, or wait until retention has passed the first of its former topics.',
  },
  WEBHOOK_UNKNOWN: {
    retryable: false,
    status: 404,
    meaning: 'There is no webhook with this id, or it belongs to another application.',
    remedy: 'GET /v1/webhooks lists those of the application.',
  },
  WEBHOOK_LIMIT: {
    retryable: false,
    status: 429,
    meaning: 'The application has as many webhooks as it may have.',
    remedy: 'End some with DELETE /v1/webhooks/{id}, or raise webhooks.maxPerApplication.',
  },
  WEBHOOK_ADDRESS_REFUSED: {
    retryable: false,
    status: 400,
    meaning:
      'The receiver of a webhook has an address that is not public: one of this machine, or of a private network.',
    remedy: 'Give an address on the internet, or name the network in webhooks.allow.',
  },
  WEBHOOK_FAILED: {
    retryable: true,
    status: 502,
    meaning:
      'The receiver of a webhook cannot be reached, did not answer in time, or answered something else than 2xx.',
    remedy: 'Make the receiver answer 2xx; the platform tries again by itself, until webhooks.pauseAfter.',
  },
  WEBHOOK_GONE: {
    retryable: false,
    status: 502,
    meaning: 'The receiver of a webhook answered 410: it wants nothing more, and the webhook is paused.',
    remedy: 'Delete the webhook, or go on with tapeline webhooks resume ID.',
  },
  ALERT_NOT_SENT: {
    retryable: true,
    status: 502,
    meaning:
      'Who is to be told of alerts cannot be reached, did not answer in time, or answered something else than 2xx.',
    remedy: 'Check alerts.alertmanager and TAPELINE_ALERTS_WEBHOOK; the platform tries again by itself.',
  },
  CURSOR_INVALID: {
    retryable: false,
    status: 400,
    meaning: 'A cursor is not one that this platform made, or belongs to another stream or question.',
    remedy: 'Use a cursor of the same stream or question unchanged, or begin without one.',
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
    meaning: 'No source of this platform has past trades of the market.',
    remedy: 'docs/sources.md says which sources have past trades. Name a market of one that is configured.',
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
    remedy: 'Send the header authorization: Bearer KEY.',
  },
  FORBIDDEN: {
    retryable: false,
    status: 403,
    meaning: 'The caller may not use this route: its key lacks a scope, or it calls from afar.',
    remedy: 'Call it from the same machine, or with a key that has the scope admin.',
  },
  CONTROL_UNAVAILABLE: {
    retryable: true,
    status: 503,
    meaning: 'No coordinator answered the request in time.',
    remedy: 'Ask again: the platform may be starting, or changing its leader.',
  },
  TOPIC_CREATION_FAILED: {
    retryable: true,
    status: 503,
    meaning: 'A dynamic topic could not be made.',
    remedy: 'Ask again; if it lasts, check the broker.',
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
    meaning: 'The registry has as many keys as it may have, revoked ones among them.',
    remedy: 'Use keys that are there: one for each application is enough.',
  },
  GAP_FLAGGED: {
    retryable: false,
    status: 500,
    meaning:
      'Trades are missing, and a gap in market.status says which. It is an alert, which ends when no gap came for ten minutes.',
    remedy:
      "tapeline gaps lists them: cause says why, and docs/gaps.md what to do. Look at the source's connection and limits where they come without restarts.",
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
      'Look for long queries and for errors of the database; raise store.lanes, or start more processes with the role consumer-fixed: docs/operations.md#scaling.',
  },
  OVERLOADED: {
    retryable: true,
    status: 503,
    meaning:
      'A process has reached limits.heap or limits.eventLoopDelay: it takes no new streams, and conflates quotes, until it has room again.',
    remedy:
      'Ask again after the time in retry-after. Run more processes of the role, give the process more memory, or have fewer streams with filters: docs/operations.md#overload.',
  },
  LIMIT_REACHED: {
    retryable: true,
    status: 503,
    meaning: 'The platform has as many streams, topics of streams or open connections as limits allows.',
    remedy:
      'End some, wait for others to end, or raise limits.streams, limits.topics or limits.sockets: docs/operations.md#overload.',
  },
  QUOTA_EXCEEDED: {
    retryable: true,
    status: 429,
    meaning: 'The application has as many streams, sockets or webhooks as its key gives it.',
    remedy: 'End some, or have an admin make a key with a larger quota.',
  },
  SOCKET_LIMIT: {
    retryable: false,
    status: 429,
    meaning: 'The socket reads, or has asked for, as many streams as one socket may.',
    remedy: 'Unsubscribe from some, or open another socket.',
  },
  SOCKET_MESSAGE_INVALID: {
    retryable: false,
    status: 400,
    meaning: 'A WebSocket message is not JSON or has no known op.',
    remedy: 'Send {"op":"subscribe",...} or {"op":"unsubscribe",...}.',
  },
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof ERROR_KINDS

/** One offending input field: where, what stood there, what is wrong and what to do. */
export interface FieldError {
  readonly field: string
  readonly value: unknown
  readonly message: string
  readonly remedy: string
  /** Where in the value, the first character being 1; of expressions. */
  readonly position?: number
}

interface ErrorDetails {
  readonly cause?: unknown
  readonly remedy?: string
  /** Offending input fields, for INPUT_INVALID and CONFIG_INVALID. */
  readonly fields?: readonly FieldError[]
  /** The partitions an error is about, for FENCED. */
  readonly partitions?: readonly { readonly topic: string; readonly partition: number }[]
  /** The values of the records that an error is about, for RECORD_TOO_LARGE. */
  readonly values?: readonly (Uint8Array | null)[]
}

/** The one error class: a stable code, whether trying again makes sense, and what the user can do. */
export class TapelineError extends Error {
  override readonly name = 'TapelineError'
  readonly code: ErrorCode
  readonly remedy: string
  readonly fields: readonly FieldError[]
  readonly partitions: readonly { readonly topic: string; readonly partition: number }[]
  /** Private, so that no log repeats them. */
  readonly #values: readonly (Uint8Array | null)[]

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    // Messages of servers and libraries are in ours, and ours go to applications, alerts and topics.
    super(redactText(message), details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.remedy = details.remedy ?? ERROR_KINDS[code].remedy
    this.fields = details.fields ?? []
    this.partitions = details.partitions ?? []
    this.#values = details.values ?? []
  }

  get values(): readonly (Uint8Array | null)[] {
    return this.#values
  }

  get retryable(): boolean {
    return ERROR_KINDS[this.code].retryable
  }

  get status(): number {
    return ERROR_KINDS[this.code].status
  }
}

/** The place of the page that says what a code means and what to do. */
export function pageOfCode(code: string): string {
  return `docs/errors.md#${code.toLowerCase()}`
}

/**
 * Gives any thrown value a code: a TapelineError as it is, everything else as `code`; by default TIMEOUT where a deadline was
 * reached, and INTERNAL.
 */
export function toTapelineError(thrown: unknown, code?: ErrorCode): TapelineError {
  if (thrown instanceof TapelineError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  const isTimeout = thrown instanceof Error && thrown.name === 'TimeoutError'
  return new TapelineError(code ?? (isTimeout ? 'TIMEOUT' : 'INTERNAL'), message, { cause: thrown })
}

/** Whether a thrown value is the abort of a signal rather than a failure. */
export function isAbort(thrown: unknown): boolean {
  return thrown instanceof Error && (thrown.name === 'AbortError' || thrown.name === 'ABORT_ERR')
}
