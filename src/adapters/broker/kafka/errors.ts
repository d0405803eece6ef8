import { MultipleErrors } from '@platformatic/kafka'
import { type ErrorCode, TapelineError } from '../../../errors.ts'
import { codeOfProtocolError, loginMismatch } from './error-table.ts'

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

/** Beginnings of the codes that errors of OpenSSL have. */
const OF_TLS = ['ERR_SSL_', 'EPROTO']

/** Codes of the library's own errors. */
const BY_LIBRARY: Readonly<Record<string, ErrorCode>> = {
  PLT_KFK_AUTHENTICATION: 'BROKER_UNAUTHORIZED',
  PLT_KFK_UNSUPPORTED_API: 'BROKER_UNSUPPORTED',
}

/** What the library says itself and has no code for. Only these errors are searched: the texts of others quote names of hosts. */
const LIBRARY_USE = 'PLT_KFK_USER'
const BY_TEXT: readonly (readonly [RegExp, ErrorCode])[] = [
  [/^Broker requires TLS/, 'BROKER_TLS_FAILED'],
  [/^SASL mechanism/, 'BROKER_LOGIN_MISMATCH'],
]

/**
 * Gives an error of the library a code of ours. Errors come nested: several in one, one as the cause of another; the first
 * that has a meaning decides, and what the broker says before what the library says. What has none is BROKER_UNAVAILABLE: a connection that broke, a leader that moved, a request
 * without an answer.
 */
export function brokerError(thrown: unknown, what: string): TapelineError {
  if (thrown instanceof TapelineError) return thrown
  const all = flatten(thrown)
  // What the broker itself says is more than what the library makes of it.
  const known = first(all, codeOfBroker) ?? first(all, codeOfClient) ?? 'BROKER_UNAVAILABLE'
  // A broker that refuses a login says so. One that closes the connection in the middle of it may just be stopping.
  const isCut = known === 'BROKER_UNAUTHORIZED' && all.some(isClosed) && !all.some(protocolCode)
  const code = isCut ? 'BROKER_UNAVAILABLE' : known
  const said = all.at(-1)?.message ?? String(thrown)
  const mismatch = first(all, (error) => loginMismatch(protocolCode(error) ?? ''))
  const reason = mismatch === undefined ? said : `${mismatch} (${said})`
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

function codeOfBroker(error: Error): ErrorCode | undefined {
  const code = codeOfProtocolError(protocolCode(error) ?? '')
  return code === 'BROKER_UNAVAILABLE' ? undefined : code
}

function codeOfClient(error: Error): ErrorCode | undefined {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (OF_TLS.some((beginning) => code.startsWith(beginning))) return 'BROKER_TLS_FAILED'
  const known = BY_SYSTEM[code] ?? BY_LIBRARY[code]
  if (known !== undefined || code !== LIBRARY_USE) return known
  return BY_TEXT.find(([text]) => text.test(error.message))?.[1]
}

function first<T, R>(items: readonly T[], find: (item: T) => R | undefined): R | undefined {
  for (const item of items) {
    const found = find(item)
    if (found !== undefined) return found
  }
  return undefined
}
