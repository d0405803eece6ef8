import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { TapelineError } from '../errors.ts'
import type { ApiKey } from './options.ts'

/** Who sent a request, and what it may do. */
export interface Caller {
  /** The application. */
  readonly app: string
  /** Sees the streams of all applications. */
  readonly admin: boolean
  /** May read raw records, run SQL and reset actors: an admin, or somebody on this machine. */
  readonly operator: boolean
}

const LOCAL_APP = 'local'
const ADMIN = 'admin'

/**
 * Makes the check of who sent a request.
 *
 * With keys: the application whose key it carries; UNAUTHORIZED without a valid one.
 *
 * Without keys everybody is `local`, so what protects the API is that only this machine reaches it. A web page that the user
 * happens to visit runs on this machine too: it could open a WebSocket or post here directly, or read answers by pointing a
 * name of its own at 127.0.0.1 (DNS rebinding). A browser tells both: the page by the header `origin`, the name by `host`.
 * So ORIGIN_REFUSED unless the host is a loopback name and the origin, where there is one, is the server's own; and
 * UNAUTHORIZED for other machines, which reach the operations of a process where they listen on a public address.
 */
export function createGuard(
  keys: readonly ApiKey[],
): (request: IncomingMessage, queryKey?: string) => Caller {
  const known = keys.map(({ name, key }) => ({ name, digest: digestOf(key) }))

  if (known.length === 0) {
    return (request) => {
      refuseOtherMachines(request)
      refuseForeignPages(request)
      return { app: LOCAL_APP, admin: true, operator: true }
    }
  }

  return (request, queryKey) => {
    const presented = keyOf(request) ?? queryKey
    const name = presented === undefined ? undefined : nameOf(presented, known)
    if (name === undefined) {
      throw new TapelineError(
        'UNAUTHORIZED',
        presented === undefined ? 'the request carries no API key' : 'the API key is not valid',
      )
    }
    const admin = name === ADMIN
    return { app: name, admin, operator: admin || isFromThisMachine(request) }
  }
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
  if (isLoopbackPeer(socket)) return
  throw new TapelineError('UNAUTHORIZED', 'without API keys only the machine itself may use this route', {
    remedy: 'Configure TAPELINE_API_KEYS for the process, and send one of them.',
  })
}

function refuseForeignPages({ headers }: IncomingMessage): void {
  const { host = '', origin } = headers
  const name = /^(.+?)(:\d+)?$/.exec(host)?.[1] ?? ''
  if (!isLoopbackHost(name)) {
    throw new TapelineError(
      'ORIGIN_REFUSED',
      `without API keys the gateway does not answer as host ${shown(host)}`,
    )
  }
  if (origin !== undefined && origin.toLowerCase().replace(/^https?:\/\//, '') !== host.toLowerCase()) {
    throw new TapelineError(
      'ORIGIN_REFUSED',
      `without API keys the gateway does not answer pages of ${shown(origin)}`,
    )
  }
}

function shown(header: string): string {
  return JSON.stringify(header.slice(0, 100))
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
function nameOf(presented: string, known: readonly KnownKey[]): string | undefined {
  const digest = digestOf(presented)
  let found: string | undefined
  for (const key of known) if (timingSafeEqual(digest, key.digest)) found = key.name
  return found
}

function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest()
}

/** A proxy on this machine forwards strangers' requests: those do not count as local. */
function isFromThisMachine({ socket, headers }: IncomingMessage): boolean {
  const forwarded = headers.forwarded ?? headers['x-forwarded-for'] ?? headers.via
  return forwarded === undefined && isLoopbackPeer(socket)
}

function isLoopbackPeer({ remoteAddress = '' }: IncomingMessage['socket']): boolean {
  return isLoopbackHost(remoteAddress.replace(/^::ffff:/, ''))
}
