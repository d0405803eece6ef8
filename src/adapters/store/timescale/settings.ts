import type { Log } from '../../../ports/log.ts'

/** A login of its own for queries: one that may only read, on the same server or on a standby. */
interface QueryLogin {
  /** `postgres://USER@HOST:PORT/DATABASE`, without a password. */
  readonly url: string
  readonly password?: string
}

export interface TimescaleSettings {
  /** `postgres://USER@HOST:PORT/DATABASE`, without a password. */
  readonly url: string
  readonly password?: string
  /** Where queries of applications go, and who asks there; without it, where everything goes. */
  readonly queries?: QueryLogin
  /** Whether connections are encrypted, and whether the server's certificate and name are checked. */
  readonly tls: 'off' | 'encrypt' | 'verify'
  /** Certificate authority that signed the server, as PEM; default: those of Node. */
  readonly ca?: string
  /** Connections that write at the same time. */
  readonly lanes: number
  readonly statementTimeoutMs: number
  /** Event time that one chunk of trades and quotes spans; by default chosen by the rate. */
  readonly chunkIntervalMs?: number
  /** Age at which chunks of trades and quotes move to the columnstore; 0: never. */
  readonly columnstoreAfterMs: number
  /** Age at which trades and quotes are removed; 0: never. Candles stay. */
  readonly retentionMs: number
  /** Who refreshes, compresses and removes; default: background jobs of the server. */
  readonly jobs?: 'server' | 'platform'
  readonly log: Log
}
