/** One value of a statement's parameters; times travel as ISO 8601 text, JSON as text. */
export type SqlParameter = string | number | null

/** The answer of one statement as PostgreSQL's own text, so that no driver's idea of a type loses digits. */
export interface SqlRows {
  readonly columns: readonly { readonly name: string; readonly oid: number }[]
  readonly rows: readonly (readonly (string | null)[])[]
}

/** How much of an answer is wanted. */
export interface RowLimits {
  readonly mostRows: number
  readonly mostBytes: number
  /** Whether a cursor reads the statement: what explain and show answer has none. */
  readonly takesCursor: boolean
}

/** A step of a transaction: statements, or a stream in binary COPY format (`copyStream`) for one table, in pieces. */
export type TransactionStep =
  | { readonly sql: string }
  | { readonly into: string; readonly columns: readonly string[]; readonly pieces: readonly Uint8Array[] }

/**
 * One connection to PostgreSQL, used by one operation at a time. The SQL of the store is written against it, so that
 * another kind of connection needs no other SQL. All methods raise DatabaseError where the database refuses, and
 * SessionLostError where it has gone.
 *
 * Whoever opens a session runs SESSION_SETTINGS and STAGING_TABLES (`staging.ts`) first.
 */
export interface SqlSession {
  /** One statement, by the extended protocol: several are refused. */
  rows(sql: string, parameters?: readonly SqlParameter[]): Promise<SqlRows>
  /**
   * The first rows of one statement that reads, within a transaction that was begun. Raises SQL_TOO_LARGE where they have more than
   * `mostBytes`, before they are all in memory; the session may be lost then.
   */
  firstRows(sql: string, limits: RowLimits): Promise<SqlRows>
  /** Statements by the simple protocol, in one trip, without results; outside a transaction unless they begin one. */
  execute(sql: string): Promise<void>
  /** Ends a transaction that a statement began. A session that cannot do so is lost. */
  rollback(): Promise<void>
  /** All steps in one transaction, in as few trips as the wire allows. Rolled back after any error. */
  transaction(steps: readonly TransactionStep[]): Promise<void>
}

/** What the database says about a statement that it refused. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError'
  /** Five characters: https://www.postgresql.org/docs/current/errcodes-appendix.html */
  readonly sqlState: string
  readonly detail: string | undefined
  /** The character of the statement, from 1. */
  readonly position: number | undefined

  constructor(message: string, sqlState: string, detail?: string, position?: number) {
    super(message)
    this.sqlState = sqlState
    this.detail = detail
    this.position = position
  }
}

/** The connection, or its database, has ended; nothing more comes of this session. */
export class SessionLostError extends Error {
  override readonly name = 'SessionLostError'
}

/** What every session sets: the text forms that `values.ts` reads, and times in UTC. */
export const SESSION_SETTINGS = `
  set timezone = 'UTC';
  set datestyle = 'ISO, YMD';
  set bytea_output = 'hex';
  set standard_conforming_strings = on;
  set extra_float_digits = 1;
  set cursor_tuple_fraction = 1;
  set client_min_messages = warning;`

/** The rows as objects of text, for statements whose columns are known. */
export function records(result: SqlRows): Record<string, string | null>[] {
  return result.rows.map((row) =>
    Object.fromEntries(result.columns.map((column, i) => [column.name, row[i] ?? null])),
  )
}
