import type { ErrorKind } from './kind.ts'

/** Codes of the broker and its topics. */
export const BROKER_ERRORS = {
  BROKER_UNAVAILABLE: {
    retryable: true,
    status: 503,
    meaning: 'The broker does not answer.',
    remedy:
      'Start the broker, or repair the network to it: tapeline doctor says what answers. The platform goes on by itself.',
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
    remedy:
      'tapeline streams topics --all lists those that exist. Where an alert says it, somebody removed a fixed topic: docs/servers.md#topics.',
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
    meaning: 'The topics, or the control topics, that the prefixes name belong to another platform.',
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
    remedy:
      'Read from the earliest or the latest offset. Where an alert says it, tapeline gaps says what is missing: raise topics.retention if the database may be away for so long.',
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
} as const satisfies Record<string, ErrorKind>
