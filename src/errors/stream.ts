import type { ErrorKind } from './kind.ts'

/** Codes of what applications ask for: streams, webhooks, and how much of both. */
export const STREAM_ERRORS = {
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
  CURSOR_INVALID: {
    retryable: false,
    status: 400,
    meaning: 'A cursor is not one that this platform made, or belongs to another stream or question.',
    remedy: 'Use a cursor of the same stream or question unchanged, or begin without one.',
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
  CONTROL_UNAVAILABLE: {
    retryable: true,
    status: 503,
    meaning: 'No coordinator answered the request in time.',
    remedy:
      'Ask again: the platform may be starting, or changing its leader. If it lasts, tapeline actors says whether a coordinator leads.',
  },
  TOPIC_CREATION_FAILED: {
    retryable: true,
    status: 503,
    meaning: 'A dynamic topic could not be made.',
    remedy: 'Ask again. If it lasts, tapeline doctor says what the broker lacks.',
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
    remedy: 'End some, or have an admin make a key with larger quotas: tapeline keys create.',
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
