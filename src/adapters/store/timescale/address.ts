import { eachHost } from '../../../domain/host-list.ts'
import { TapelineError } from '../../../errors.ts'

/** Where the database is, and who asks. */
export interface Address {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly database: string
}

/** Each host of `postgres://USER@HOST:PORT,HOST:PORT/DATABASE`. Raises CONFIG_INVALID. */
export function parseAddresses(text: string): readonly Address[] {
  return eachHost(text).map(parseAddress)
}

/**
 * The parts of `postgres://USER@HOST:PORT/DATABASE`. Parameters after a `?` are refused rather than passed over: whoever
 * writes `sslmode=require` there would believe the connection encrypted. Raises CONFIG_INVALID.
 */
export function parseAddress(text: string): Address {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || url.hostname === '' || url.username === '')
    throw invalid('is not postgres://USER@HOST:PORT/DATABASE')
  if (url.search !== '') throw invalid('has parameters after the "?"')
  const user = decoded(url.username)
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port === '' ? 5432 : Number(url.port),
    user,
    database: decoded(url.pathname.slice(1)) || user,
  }
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw invalid('has a % that encodes nothing: write %25')
  }
}

function invalid(what: string): TapelineError {
  return new TapelineError('CONFIG_INVALID', `The address of the database (store.url) ${what}.`, {
    remedy:
      'Write it as postgres://tapeline@db.internal:5432/market; TLS and timeouts have settings of their own.',
  })
}

/** As it stands in messages. */
export function nameOf({ host, port, database }: Address): string {
  return `${host}:${port}/${database}`
}
