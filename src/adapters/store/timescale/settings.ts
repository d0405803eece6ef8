import type { Log } from '../../../ports/log.ts'

export interface TimescaleSettings {
  /** `postgres://USER@HOST:PORT/DATABASE`, without a password. */
  readonly url: string
  readonly password?: string
  /** Whether connections are encrypted, and whether the server's certificate and name are checked. */
  readonly tls: 'off' | 'encrypt' | 'verify'
  /** Certificate authority that signed the server, as PEM; default: those of Node. */
  readonly ca?: string
  /** Connections that write at the same time. */
  readonly lanes: number
  readonly statementTimeoutMs: number
  /** Event time that one chunk of trades and quotes spans. */
  readonly chunkIntervalMs: number
  /** Age at which chunks of trades and quotes move to the columnstore; 0: never. */
  readonly columnstoreAfterMs: number
  /** Age at which trades and quotes are removed; 0: never. Candles stay. */
  readonly retentionMs: number
  readonly log: Log
}
