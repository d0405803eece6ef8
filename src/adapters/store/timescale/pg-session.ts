import pg from 'pg'
import { onAbort } from '../../../async/abort.ts'
import { startTimer } from '../../../async/timers.ts'
import { answerTooLarge } from '../read-only-query.ts'
import {
  DatabaseError,
  type RowLimits,
  SESSION_SETTINGS,
  SessionLostError,
  type SqlParameter,
  type SqlRows,
  type SqlSession,
  type TransactionStep,
} from '../session.ts'
import { STAGING_TABLES } from '../staging.ts'
import { type Address, nameOf } from './address.ts'
import { type BackendKey, cancelRunning } from './cancel.ts'
import { connectError } from './connect-error.ts'
import { CopyBatch } from './copy-batch.ts'
import { FirstRows } from './first-rows.ts'
import { checkServer } from './server.ts'
import type { TimescaleSettings } from './settings.ts'

/** How every connection of the platform calls itself, for `pg_stat_activity`, and for claims (`claims.ts`). */
export const APPLICATION_NAME = 'tapeline'

const CONNECT_MS = 5_000
const CLOSE_MS = 1_000
const KEEPALIVE_MS = 10_000

/**
 * What the server does by itself about a process that has stopped or vanished: it ends transactions in which nothing happens,
 * and notices within half a minute that the other side has gone. A COPY that waits for its bytes is ended by neither: claims
 * see to that (`claims.ts`).
 */
const SERVER_SETTINGS = `
  set idle_in_transaction_session_timeout = '10s';
  set tcp_keepalives_idle = 10;
  set tcp_keepalives_interval = 5;
  set tcp_keepalives_count = 4;`

/** A user who is no superuser may not bound its own temporary files: then the limit of its role or of the server stands. */
const QUERY_SETTINGS = `
  set default_transaction_read_only = on;
  do $$ begin
    perform set_config('temp_file_limit', '1GB', false);
  exception when insufficient_privilege then null;
  end $$;`

export interface SessionSettings extends Pick<TimescaleSettings, 'password' | 'tls' | 'ca'> {
  readonly address: Address
  /** 0: no limit, for migrations. */
  readonly statementTimeoutMs: number
  /** For queries alone: a standby will do, and nothing is prepared for writes. */
  readonly readsOnly?: true
}

/** A connection to the server. One that has broken, or that a signal has cut off, is `lost` and of no more use. */
export class PgSession implements SqlSession {
  readonly #client: pg.Client
  readonly #address: Address
  #lost = false

  private constructor(client: pg.Client, address: Address) {
    this.#client = client
    this.#address = address
    client.on('error', () => {
      this.#lost = true
    })
    client.on('end', () => {
      this.#lost = true
    })
  }

  /**
   * Connects, logs in, checks the version, and that the server takes writes unless it is for reading, and prepares the session. The name of the host
   * is looked up each time, so that a name that moves to another server leads there. Raises the STORE_ codes.
   */
  static async open(settings: SessionSettings, signal: AbortSignal): Promise<PgSession> {
    const { address, statementTimeoutMs, readsOnly = false } = settings
    const session = new PgSession(new pg.Client(clientConfig(settings)), address)
    const cut = () => session.abort()
    signal.throwIfAborted()
    const off = onAbort(signal, cut)
    const timer = startTimer(cut, CONNECT_MS)
    try {
      await session.#client.connect()
      await checkServer(session, address, readsOnly ? 'reads' : 'writes')
      await session.execute(
        `${SESSION_SETTINGS} ${SERVER_SETTINGS} set statement_timeout = ${statementTimeoutMs}; ${readsOnly ? QUERY_SETTINGS : STAGING_TABLES}`,
      )
      return session
    } catch (error) {
      session.abort()
      signal.throwIfAborted()
      throw connectError(error, address)
    } finally {
      timer.stop()
      off()
    }
  }

  get lost(): boolean {
    return this.#lost
  }

  /** The process id of the backend. */
  get processId(): number {
    return this.#key?.processId ?? 0
  }

  async rows(sql: string, parameters: readonly SqlParameter[] = []): Promise<SqlRows> {
    const query = { text: sql, values: [...parameters], rowMode: 'array' as const, queryMode: 'extended' }
    const result = await this.#asDatabaseErrors(() => this.#client.query<(string | null)[]>(query))
    return {
      columns: result.fields.map(({ name, dataTypeID }) => ({ name, oid: dataTypeID })),
      rows: result.rows,
    }
  }

  /** Cut off at `mostBytes`: a value of more than 512 MiB would throw in the middle of the driver, and end the process. */
  async firstRows(sql: string, { mostRows, mostBytes }: RowLimits): Promise<SqlRows> {
    const { stream } = this.#client.connection
    let bytes = 0
    const count = (chunk: Uint8Array): void => {
      bytes += chunk.byteLength
      if (bytes > mostBytes) this.abort()
    }
    stream.on('data', count)
    try {
      return await this.#asDatabaseErrors(() => this.#client.query(new FirstRows(sql, mostRows)).done)
    } catch (error) {
      throw bytes > mostBytes ? answerTooLarge(mostBytes) : error
    } finally {
      stream.off('data', count)
    }
  }

  async execute(sql: string): Promise<void> {
    await this.#asDatabaseErrors(() => this.#client.query(sql))
  }

  async rollback(): Promise<void> {
    try {
      await this.execute('rollback')
    } catch (error) {
      this.abort()
      throw new SessionLostError('The connection to the database cannot roll back.', { cause: error })
    }
  }

  async transaction(steps: readonly TransactionStep[]): Promise<void> {
    try {
      await this.#asDatabaseErrors(() => this.#client.query(new CopyBatch(steps)).done)
    } catch (error) {
      if (error instanceof DatabaseError) await this.rollback()
      throw error
    }
  }

  /** Logs out. */
  async close(): Promise<void> {
    if (this.#lost) return
    const timer = startTimer(() => this.abort(), CLOSE_MS)
    try {
      await this.#client.end()
    } finally {
      timer.stop()
    }
  }

  /** Ends at once: what runs is cancelled, and whoever waits for it gets SessionLostError. */
  abort(): void {
    const key = this.#key
    if (!this.#lost && key !== undefined) cancelRunning(this.#address, key)
    this.#lost = true
    this.#client.connection.stream.destroy()
  }

  get #key(): BackendKey | undefined {
    const client: object = this.#client
    if (!('processID' in client && 'secretKey' in client)) return undefined
    const { processID, secretKey } = client
    if (typeof processID !== 'number' || typeof secretKey !== 'number') return undefined
    return { processId: processID, secret: secretKey }
  }

  async #asDatabaseErrors<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run()
    } catch (error) {
      if (error instanceof pg.DatabaseError && !endsSession(error)) {
        const { message, code = 'XX000', detail, position } = error
        throw new DatabaseError(message, code, detail, position === undefined ? undefined : Number(position))
      }
      this.#lost = true
      this.#client.connection.stream.destroy()
      const reason = error instanceof Error ? error.message : String(error)
      throw new SessionLostError(`The connection to ${nameOf(this.#address)} has ended: ${reason}`, {
        cause: error,
      })
    }
  }
}

/** After these the server closes the connection; the word for their severity depends on its language. */
const ENDING = /^(57P|25P0[34])/

function endsSession({ severity, code = '' }: pg.DatabaseError): boolean {
  return severity === 'FATAL' || severity === 'PANIC' || ENDING.test(code)
}

/** Nothing is taken from the environment of libpq (PGHOST, PGPASSWORD, PGSSLMODE): each value is given. */
function clientConfig({ address, password, tls, ca }: SessionSettings): pg.ClientConfig {
  return {
    ...address,
    password: () => password ?? '',
    ssl:
      tls === 'off' ? false : { rejectUnauthorized: tls === 'verify', ...(ca === undefined ? {} : { ca }) },
    application_name: APPLICATION_NAME,
    client_encoding: 'UTF8',
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEPALIVE_MS,
    types: { getTypeParser: () => String },
  }
}
