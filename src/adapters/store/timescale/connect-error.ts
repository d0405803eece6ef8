import pg from 'pg'
import { type ErrorCode, TapelineError } from '../../../errors.ts'
import { DatabaseError } from '../session.ts'
import { type Address, nameOf } from './address.ts'

const SYSTEM_CODES: Readonly<Record<string, ErrorCode>> = {
  ENOTFOUND: 'STORE_HOST_UNKNOWN',
  EPROTO: 'STORE_TLS_FAILED',
  // invalid_password, invalid_authorization_specification
  '28P01': 'STORE_UNAUTHORIZED',
  '28000': 'STORE_UNAUTHORIZED',
  // insufficient_privilege, and no schema to create in
  '42501': 'STORE_FORBIDDEN',
  '3F000': 'STORE_FORBIDDEN',
  // invalid_catalog_name
  '3D000': 'STORE_DATABASE_UNKNOWN',
}

/** What Node calls the failures of a handshake or a certificate: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const TLS_CODES = /^ERR_(TLS|SSL)|CERT|ISSUER|SIGNATURE|^HOSTNAME_MISMATCH|^INVALID_(CA|PURPOSE)|^CRL/

/** What `pg` and the server say in words only. */
const WORDS: readonly (readonly [RegExp, ErrorCode])[] = [
  [/does not support SSL connections|error establishing an SSL connection/, 'STORE_TLS_FAILED'],
  [/no pg_hba\.conf entry .* no encryption/, 'STORE_TLS_FAILED'],
  [/client password must be|^SASL:/, 'STORE_UNAUTHORIZED'],
]

/** What kept a connection from coming about, with its code. No message holds a secret. */
export function connectError(thrown: unknown, address: Address): TapelineError {
  if (thrown instanceof TapelineError) return thrown
  const code = codeOf(thrown)
  const kind = kindOf(code, messageOf(thrown))
  return new TapelineError(kind, `The database at ${nameOf(address)}: ${described(thrown)}.`, {
    cause: thrown,
  })
}

function kindOf(code: string, message: string): ErrorCode {
  const words = WORDS.find(([pattern]) => pattern.test(message))
  if (words !== undefined) return words[1]
  const known = SYSTEM_CODES[code]
  if (known !== undefined) return known
  return TLS_CODES.test(code) ? 'STORE_TLS_FAILED' : 'STORE_UNAVAILABLE'
}

/** A name with several addresses fails with an error for each: the first says enough. */
function first(thrown: unknown): unknown {
  return thrown instanceof AggregateError && thrown.errors.length > 0 ? thrown.errors[0] : thrown
}

function codeOf(thrown: unknown): string {
  const error = first(thrown)
  if (error instanceof DatabaseError) return error.sqlState
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

function messageOf(thrown: unknown): string {
  const error = first(thrown)
  return error instanceof Error ? error.message : String(error)
}

function described(thrown: unknown): string {
  const message = messageOf(thrown).replace(/\.$/, '')
  const isServers = thrown instanceof pg.DatabaseError || thrown instanceof DatabaseError
  return isServers ? `${message} (${codeOf(thrown)})` : message
}
