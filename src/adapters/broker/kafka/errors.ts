import { MultipleErrors } from '@platformatic/kafka'
import { type ErrorCode, TapelineError } from '../../../errors.ts'

/** What the protocol's own error codes mean to us; what is not listed may pass by itself. Source: https://kafka.apache.org/protocol#protocol_error_codes */
const BY_PROTOCOL: Readonly<Record<string, ErrorCode>> = {
  TOPIC_AUTHORIZATION_FAILED: 'BROKER_FORBIDDEN',
  GROUP_AUTHORIZATION_FAILED: 'BROKER_FORBIDDEN',
  CLUSTER_AUTHORIZATION_FAILED: 'BROKER_FORBIDDEN',
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: 'BROKER_FORBIDDEN',
  SASL_AUTHENTICATION_FAILED: 'BROKER_UNAUTHORIZED',
  UNSUPPORTED_SASL_MECHANISM: 'BROKER_UNAUTHORIZED',
  ILLEGAL_SASL_STATE: 'BROKER_UNAUTHORIZED',
  UNSUPPORTED_VERSION: 'BROKER_UNSUPPORTED',
  UNSUPPORTED_FOR_MESSAGE_FORMAT: 'BROKER_UNSUPPORTED',
  MESSAGE_TOO_LARGE: 'RECORD_TOO_LARGE',
  RECORD_LIST_TOO_LARGE: 'RECORD_TOO_LARGE',
  TOPIC_ALREADY_EXISTS: 'TOPIC_EXISTS',
  PRODUCER_FENCED: 'FENCED',
  INVALID_PRODUCER_EPOCH: 'FENCED',
  INVALID_PRODUCER_ID_MAPPING: 'FENCED',
  TRANSACTION_COORDINATOR_FENCED: 'FENCED',
}

/** What the system and TLS say. */
const BY_SYSTEM: Readonly<Record<string, ErrorCode>> = {
  ENOTFOUND: 'BROKER_HOST_UNKNOWN',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'BROKER_TLS_FAILED',
  SELF_SIGNED_CERT_IN_CHAIN: 'BROKER_TLS_FAILED',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'BROKER_TLS_FAILED',
  UNABLE_TO_GET_ISSUER_CERT: 'BROKER_TLS_FAILED',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'BROKER_TLS_FAILED',
  CERT_HAS_EXPIRED: 'BROKER_TLS_FAILED',
  CERT_NOT_YET_VALID: 'BROKER_TLS_FAILED',
  ERR_TLS_CERT_ALTNAME_INVALID: 'BROKER_TLS_FAILED',
}

/** Texts by which the library alone tells what went wrong. */
const BY_TEXT: readonly (readonly [RegExp, ErrorCode])[] = [
  [
    /requires TLS|wrong version number|packet length too long|EPROTO|ERR_SSL|ssl3_|tls_/i,
    'BROKER_TLS_FAILED',
  ],
  [/SASL authentication failed|suitable SASL mechanism|Authentication failed|SASL/i, 'BROKER_UNAUTHORIZED'],
  [/No usable implementation|Unsupported API/i, 'BROKER_UNSUPPORTED'],
]

/**
 * Gives an error of the library a code of ours. Errors come nested: several in one, one as the cause of another; the first
 * that has a meaning decides. What has none is BROKER_UNAVAILABLE: a connection that broke, a leader that moved, a request
 * without an answer.
 */
export function brokerError(thrown: unknown, what: string): TapelineError {
  if (thrown instanceof TapelineError) return thrown
  const all = flatten(thrown)
  const known = first(all, codeOf) ?? 'BROKER_UNAVAILABLE'
  // A broker that refuses a login says so. One that closes the connection in the middle of it may just be stopping.
  const isCut = known === 'BROKER_UNAUTHORIZED' && all.some(isClosed) && !all.some(protocolCode)
  const code = isCut ? 'BROKER_UNAVAILABLE' : known
  const reason = all.at(-1)?.message ?? String(thrown)
  return new TapelineError(code, `${what}: ${reason}`, { cause: thrown })
}

/** An error with all that it holds, the outermost first. */
function flatten(thrown: unknown, depth = 0): Error[] {
  if (!(thrown instanceof Error) || depth > 6) return []
  const inner = thrown instanceof AggregateError || thrown instanceof MultipleErrors ? thrown.errors : []
  return [thrown, ...inner.flatMap((each) => flatten(each, depth + 1)), ...flatten(thrown.cause, depth + 1)]
}

function isClosed(error: Error): boolean {
  return /connection closed|ECONNRESET|disconnected/i.test(error.message)
}

function protocolCode(error: Error): string | undefined {
  return 'apiId' in error && typeof error.apiId === 'string' ? error.apiId : undefined
}

function codeOf(error: Error): ErrorCode | undefined {
  const protocol = BY_PROTOCOL[protocolCode(error) ?? '']
  if (protocol !== undefined) return protocol
  const system = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return BY_SYSTEM[system] ?? BY_TEXT.find(([text]) => text.test(`${system} ${error.message}`))?.[1]
}

function first<T, R>(items: readonly T[], find: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const found = find(item)
    if (found !== undefined) return found
  }
  return undefined
}
