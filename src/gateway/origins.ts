import type { IncomingHttpHeaders } from 'node:http'
import { TapelineError } from '../errors.ts'

/** Which pages may call, besides those of the server itself. */
export interface Origins {
  /**
   * The origin of a request from a page of another site, which must be told that it may read the answer; undefined where no page sent
   * it, or one of the server itself. Raises ORIGIN_REFUSED.
   */
  admit(headers: IncomingHttpHeaders): string | undefined
  /** Whether answers differ by who asks. */
  readonly any: boolean
}

/** `allowed`: origins, exact such as `https://app.example.com`, or all below a name such as `https://*.example.com`. */
export function createOrigins(allowed: readonly string[]): Origins {
  const isAllowed = (origin: string): boolean =>
    allowed.some((each) => {
      const [scheme = '', end] = each.split('*')
      if (end === undefined) return origin === each
      // A label before the dot, and nothing that could end the name before it.
      return (
        origin.startsWith(scheme) &&
        origin.endsWith(end) &&
        /^[a-z0-9.-]+$/.test(origin.slice(scheme.length, -end.length))
      )
    })
  return {
    any: allowed.length > 0,
    admit({ origin, host = '' }) {
      if (origin === undefined || isOwn(origin, host)) return undefined
      if (isAllowed(origin.toLowerCase())) return origin
      throw new TapelineError('ORIGIN_REFUSED', `the gateway does not answer pages of ${shownHeader(origin)}`)
    },
  }
}

/** A proxy may end TLS, so the scheme of the server itself says nothing. */
function isOwn(origin: string, host: string): boolean {
  return origin.toLowerCase().replace(/^https?:\/\//, '') === host.toLowerCase()
}

/** What a browser asks before it sends a request of another site's page. Source: the Fetch standard, CORS protocol. */
export const PREFLIGHT_ANSWER = {
  'access-control-allow-methods': 'GET, HEAD, POST, PATCH, DELETE',
  'access-control-allow-headers': 'authorization, x-api-key, content-type, last-event-id',
  'access-control-max-age': '600',
}

/** What a page of another site may read of an answer besides its body. */
export const READABLE_ANSWER = { 'access-control-expose-headers': 'retry-after, allow, www-authenticate' }

/** A header in a message, cut. */
export function shownHeader(header: string): string {
  return JSON.stringify(header.slice(0, 100))
}
