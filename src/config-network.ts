import { isIP, isIPv4 } from 'node:net'
import { z } from 'zod'

const HOST_NAME = /^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_.])?$/
const MOST_PORT = 65_535

/** HOST:PORT of a server, where an IPv6 host stands in brackets. */
export const serverAddress = z.string().superRefine((text, context) => {
  const [, host, port] = /^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):(\d+)$/.exec(text) ?? []
  if (host === undefined) context.addIssue('is not HOST:PORT such as broker-1:9092')
  else if (!isPort(Number(port))) context.addIssue(`has a port that is not from 1 to ${MOST_PORT}`)
})

/** An address, or a network such as 10.1.0.0/16. */
export const network = z.string().superRefine((text, context) => {
  const [, address = '', bits = '0'] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  if (isIP(address) === 0 || Number(bits) > (isIPv4(address) ? 32 : 128))
    context.addIssue('is no address, and no network such as 10.1.0.0/16')
})

function isPort(port: number): boolean {
  return port >= 1 && port <= MOST_PORT
}

/** A name or an IP address to listen on, IPv6 with or without brackets; never with a port. */
export const listenHost = z.string().transform((text, context) => {
  const host = text.trim().replace(/^\[(.*)\]$/, '$1')
  const isAddress = isIP(host) !== 0
  const isName = HOST_NAME.test(host) && !/^[\d.]+$/.test(host)
  if (isAddress || isName) return host
  context.addIssue('is not a host alone such as 127.0.0.1, 0.0.0.0, :: or localhost')
  return z.NEVER
})

/** Address of a service that speaks a protocol such as ws, or the same with TLS. */
export const webAddress = (scheme: 'ws' | 'http') =>
  z
    .string()
    .trim()
    .superRefine((text, context) => {
      const url = URL.parse(text)
      const problem = url === null ? undefined : problemOf(url, scheme)
      if (url === null || problem !== undefined)
        context.addIssue(problem ?? `is not an address such as ${scheme}s://feed.example.com`)
    })

/** The origin of pages, exact or all below a name: `https://app.example.com`, `https://*.example.com`, as browsers write it. */
export const webOrigin = z.string().transform((text, context) => {
  const given = text.trim().toLowerCase()
  const [, scheme = '', below = '', rest = ''] = /^(https?:\/\/)(\*\.)?([^/?#@*\\]+)\/?$/.exec(given) ?? []
  const url = scheme === '' ? null : URL.parse(scheme + rest)
  if (url === null || url.port === '0') {
    context.addIssue('is no origin such as https://app.example.com or https://*.example.com')
    return z.NEVER
  }
  if (below !== '' && !/[a-z0-9]\.[a-z]|^localhost$/.test(url.hostname)) {
    context.addIssue('would allow far too many sites: write at least two parts after *.')
    return z.NEVER
  }
  return scheme + below + url.host
})

function problemOf({ protocol, hash, port }: URL, scheme: string): string | undefined {
  if (protocol !== `${scheme}:` && protocol !== `${scheme}s:`)
    return `is not an address that begins with ${scheme}:// or ${scheme}s://`
  if (hash !== '') return 'has a # where none belongs: write %23'
  return port === '0' ? `has a port that is not from 1 to ${MOST_PORT}` : undefined
}
