import { ERROR_KINDS, type ErrorCode, type TapelineError } from '../errors.ts'

const SAME_VERSION = 'Use the tapeline command of the same version as the platform.'

/** What to do about an answer of the API in the words of whoever types commands, where the general remedy speaks of requests. */
const REMEDIES: Readonly<Partial<Record<ErrorCode, string>>> = {
  UNAUTHORIZED:
    'Set TAPELINE_API_KEY to a key of the platform: one of its TAPELINE_API_KEYS, or one that tapeline keys create made.',
  FORBIDDEN:
    'Run it on the machine of the platform, or set TAPELINE_API_KEY to an admin key: the one named admin, or one with the scope admin.',
  ORIGIN_REFUSED: 'Name the platform by its loopback address: --api http://127.0.0.1:PORT.',
  STREAM_UNKNOWN: 'tapeline streams lists yours; tapeline streams create asks for a new one.',
  STREAM_LIMIT: 'End some with tapeline streams delete ID, or raise streams.maxPerApplication.',
  WEBHOOK_UNKNOWN: 'tapeline webhooks lists yours.',
  WEBHOOK_LIMIT: 'End some with tapeline webhooks delete ID, or raise webhooks.maxPerApplication.',
  KEY_UNKNOWN: 'tapeline keys lists them.',
  QUOTA_EXCEEDED: 'End some with tapeline streams delete ID, or have an admin make a key with larger quotas.',
  OVERLOADED: 'Try again in a minute. If it lasts: docs/operations.md#overload.',
  CURSOR_INVALID: 'Start again without a cursor.',
  ACTOR_UNKNOWN: 'tapeline actors lists them.',
  DEAD_LETTER_UNKNOWN: 'tapeline dead-letters lists them. They are removed after topics.deadLetterRetention.',
  INPUT_INVALID: 'Correct what is named; --help of the command says what it takes.',
  BODY_NOT_JSON: 'Write the request as JSON.',
  BODY_TOO_LARGE: 'Ask for less than 64 KiB at a time.',
  NOT_FOUND: SAME_VERSION,
  METHOD_NOT_ALLOWED: SAME_VERSION,
  MEDIA_TYPE_UNSUPPORTED: SAME_VERSION,
  UPGRADE_REQUIRED: SAME_VERSION,
  SOCKET_MESSAGE_INVALID: SAME_VERSION,
}

/** What to do about an error, for the command line. What one occurrence says by itself is more precise, and stays. */
export function remedyOnCommandLine({ code, remedy }: TapelineError): string {
  return remedy === ERROR_KINDS[code].remedy ? (REMEDIES[code] ?? remedy) : remedy
}
