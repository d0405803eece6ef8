import { isIP } from 'node:net'
import type { ConnectionOptions } from '@platformatic/kafka'
import type { Log } from '../../../ports/log.ts'

export interface KafkaSettings {
  /** HOST:PORT of servers to begin with. */
  readonly bootstrap: readonly string[]
  readonly clientId: string
  /** Certificates and key as PEM texts; without `ca` those of Node are trusted. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string }
  readonly sasl?: {
    readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
    readonly username: string
    readonly password: string
  }
  readonly compression: 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
  /** Copies of each topic that is made; 0: the broker's own default. */
  readonly replication: number
  /** A member of a group that is not heard of for so long has lost its partitions; in milliseconds. */
  readonly sessionMs: number
  readonly log: Log
}

const CONNECT_MS = 5_000
/** A request without an answer for so long shows that its connection has stalled: it is closed, and a new one made. */
export const REQUEST_MS = 10_000
/** How long a broker may wait for others before it answers that it did so in vain: that answer must come before the connection is closed. */
export const BROKER_WAIT_MS = 7_000

export interface Address {
  readonly host: string
  readonly port: number
}

/** HOST:PORT, where an IPv6 host stands in brackets. */
export function parseAddress(text: string): Address {
  const colon = text.lastIndexOf(':')
  const host = text.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
  return { host, port: Number(text.slice(colon + 1)) }
}

/** How connections are made. */
export function connectionOptions({ bootstrap, tls, sasl }: KafkaSettings): ConnectionOptions {
  // A server name is for hosts that have one; for an address TLS forbids it.
  const hasNames = bootstrap.every((text) => isIP(parseAddress(text).host) === 0)
  return {
    connectTimeout: CONNECT_MS,
    requestTimeout: REQUEST_MS,
    ...(tls && { tls: { ...tls }, ...(hasNames && { tlsServerName: true }) }),
    ...(sasl && { sasl: { ...sasl } }),
  }
}
