import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { TapelineError } from '../errors.ts'
import { type KeyDesk, type Quotas, SCOPES, type Scope } from '../ports/keys.ts'
import type { ApiKey } from './options.ts'
import { shownHeader } from './origins.ts'

/** Who sent a request, and what it may do. */
export interface Caller {
  /** The application. */
  readonly app: string
  /** Sees the streams of all applications. */
  readonly admin: boolean
  /** May read raw records, run SQL and reset actors: an admin, or somebody on this machine. */
  readonly operator: boolean
  readonly scopes: readonly Scope[]
  readonly quotas: Quotas
  /** The key that it came with, where that was made while the platform ran. */
  readonly keyId?: string
}

const LOCAL_APP = 'local'
const ADMIN = 'admin'
/** What a key of the environment is for that is no admin's. */
const APPLICATION: readonly Scope[] = ['read', 'streams']

/**
 * Makes the check of who sent a request. `issued`: the keys that were made while the platform ran, beside those of the environment.
 *
 * With keys: the application whose key it carries; UNAUTHORIZED without a valid one. A key that the request carries is always looked at.
 *
 * Without keys everybody is `local`, so what protects the API is that only this machine reaches it. A web page that the user
 * happens to visit runs on this machine too: it could open a WebSocket or post here directly, or read answers by pointing a
 * name of its own at 127.0.0.1 (DNS rebinding). A browser tells both: the page by the header `origin`, the name by `host`.
 * So ORIGIN_REFUSED unless the host is a loopback name (`createOrigins` looks at the page), and UNAUTHORIZED for other machines, which reach the operations of a process where they listen on a public address,
 * or a gateway through a proxy on this machine.
 */
export function createGuard(
  keys: readonly ApiKey[],
  issued?: Pick<KeyDesk, 'find' | 'list'>,
): (request: IncomingMessage, queryKey?: string) => Caller {
  const known = keys.map(({ name, key }) => ({ name, digest: digestOf(key) }))

  const byKey = (presented: string, request: IncomingMessage): Caller | undefined => {
    const digest = digestOf(presented)
    const name = nameOf(digest, known)
    if (name !== undefined) {
      const admin = name === ADMIN
      const operator = admin || isFromThisMachine(request)
      return { app: name, admin, operator, scopes: admin ? SCOPES : APPLICATION, quotas: {} }
    }
    // The look-up is by what is kept of the key: how long it takes tells nothing about any text.
    const key = issued?.find(digest.toString('hex'))
    if (key === undefined || key.revokedAt !== null) return undefined
    const admin = key.scopes.includes('admin')
    const { app, scopes, quotas, id } = key
    return { app, admin, operator: admin, scopes, quotas, keyId: id }
  }

  return (request, queryKey) => {
    const presented = keyOf(request) ?? queryKey
    const caller = presented === undefined ? undefined : byKey(presented, request)
    if (caller !== undefined) return caller
    // A key that somebody sends to a platform without any is passed over.
    const isPassedOver = presented === undefined || (issued?.list() ?? []).length === 0
    if (known.length === 0 && isPassedOver) {
      refuseOtherMachines(request)
      refuseForeignNames(request)
      refuseForwarded(request)
      return { app: LOCAL_APP, admin: true, operator: true, scopes: SCOPES, quotas: {} }
    }
    throw new TapelineError(
      'UNAUTHORIZED',
      presented === undefined ? 'the request carries no API key' : 'the API key is not valid',
    )
  }
}

/** Raises FORBIDDEN unless the caller may do everything. */
export function requireAdmin({ app, admin }: Caller): void {
  if (!admin) throw new TapelineError('FORBIDDEN', `${app} is no admin`)
}

/** Raises FORBIDDEN unless the caller's key is for this. */
export function requireScope({ app, scopes }: Caller, scope: Scope): void {
  if (scopes.includes(scope) || scopes.includes('admin')) return
  const remedy = `Use a key with the scope ${scope}: an admin makes one with tapeline keys create.`
  throw new TapelineError('FORBIDDEN', `the key of ${app} lacks the scope ${scope}`, { remedy })
}

/** Raises FORBIDDEN unless the caller is an operator. */
export function requireOperator(caller: Caller): void {
  if (!caller.operator) throw new TapelineError('FORBIDDEN', `${caller.app} may not use this route from afar`)
}

/** Whether a host name means this machine only, without asking any resolver: localhost, 127.0.0.0/8, ::1. */
export function isLoopbackHost(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/i.test(host)
}

function refuseOtherMachines({ socket }: IncomingMessage): void {
  if (!isLoopbackPeer(socket)) throw otherMachine()
}

function refuseForwarded(request: IncomingMessage): void {
  if (isForwarded(request)) throw otherMachine(', and this came through a proxy')
}

function otherMachine(more = ''): TapelineError {
  const message = `without API keys only the machine itself may use this route${more}`
  const remedy = 'Configure TAPELINE_API_KEYS for the process, and send one of them.'
  return new TapelineError('UNAUTHORIZED', message, { remedy })
}

function refuseForeignNames({ headers }: IncomingMessage): void {
  const { host = '' } = headers
  const name = /^(.+?)(:\d+)?$/.exec(host)?.[1] ?? ''
  if (!isLoopbackHost(name)) {
    throw new TapelineError(
      'ORIGIN_REFUSED',
      `without API keys the gateway does not answer as host ${shownHeader(host)}`,
    )
  }
}

function keyOf({ headers }: IncomingMessage): string | undefined {
  const bearer = /^bearer +(\S+) *$/i.exec(headers.authorization ?? '')?.[1]
  const plain = headers['x-api-key']
  return bearer ?? (typeof plain === 'string' && plain !== '' ? plain : undefined)
}

interface KnownKey {
  readonly name: string
  readonly digest: Buffer
}

/** Compares with every key and in constant time, so that the time taken tells nothing about any of them. */
function nameOf(digest: Buffer, known: readonly KnownKey[]): string | undefined {
  let found: string | undefined
  for (const key of known) if (timingSafeEqual(digest, key.digest)) found = key.name
  return found
}

/** What is kept of a key's text. */
export function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}

/** What proxies add to the requests that they forward. */
const PROXY_HEADERS = [
  'forwarded',
  'via',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-real-ip',
]

/** A proxy on this machine forwards strangers' requests: those do not count as local. */
function isFromThisMachine(request: IncomingMessage): boolean {
  return !isForwarded(request) && isLoopbackPeer(request.socket)
}

/**
 * nginx adds none of the headers unless it is told to, and names us as the host; but it speaks HTTP/1.0 then, as no browser and no client of today
 * does.
 */
function isForwarded({ headers, httpVersion }: IncomingMessage): boolean {
  return httpVersion === '1.0' || PROXY_HEADERS.some((name) => headers[name] !== undefined)
}

function isLoopbackPeer({ remoteAddress = '' }: IncomingMessage['socket']): boolean {
  return isLoopbackHost(remoteAddress.replace(/^::ffff:/, ''))
}
