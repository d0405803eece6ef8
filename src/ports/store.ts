import type { Interval } from '../domain/events.ts'
import type { ReaderMemory } from '../domain/reader-rules.ts'
import type { StoredChannel } from '../domain/rows.ts'

export interface ClaimTarget {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
}

/** The right to write a partition's rows, until somebody claims it after us. */
export interface Claim extends ClaimTarget {
  readonly fence: number
  /** The next offset whose record is not stored yet; 0 for a partition never seen. */
  readonly nextOffset: number
  /** The epochs seen up to `nextOffset`. */
  readonly memory: ReaderMemory
}

/** Rows of one table, encoded as binary COPY tuples (`domain/copy-binary.ts`). */
export interface RowSegment {
  readonly channel: StoredChannel
  readonly tuples: Uint8Array
  readonly rows: number
  /**
   * These rows enter again, so that those that the table has are left out: trades by exchange, symbol, id and ts, quotes and
   * status by all columns. A candle that enters again replaces only one that is not closed yet.
   */
  readonly reentering: boolean
}

/** The rows of one partition from `nextOffset` of the claim up to `newOffset`, and what a reader remembers there. */
export interface PartitionWrite {
  readonly claim: Claim
  readonly newOffset: number
  readonly memory: ReaderMemory
  readonly segments: readonly RowSegment[]
  /** The log has become shorter than what was stored of it: `newOffset` may lie below the claim's. */
  readonly back?: true
}

export interface MigrationReport {
  readonly applied: readonly string[]
  readonly current: string
  /** What the database cannot do and what is left out therefore, one line each. */
  readonly missing: readonly string[]
}

export interface TradeQuery {
  readonly exchange?: string
  readonly symbol: string
  /** Microseconds, both ends included. */
  readonly from?: number
  readonly to?: number
  readonly limit: number
}

export interface StoredTrade {
  readonly exchange: string
  readonly symbol: string
  readonly id: string
  readonly side: string
  readonly price: number
  readonly size: number
  /** ISO 8601 UTC with microseconds. */
  readonly ts: string
  readonly recvTs: string
}

export interface CandleQuery {
  readonly exchange?: string
  readonly symbol: string
  readonly interval: Interval
  readonly origin: 'trades' | 'source'
  readonly from?: number
  readonly to?: number
  readonly limit: number
}

export interface StoredCandle {
  readonly exchange: string
  readonly symbol: string
  readonly interval: string
  readonly open: number
  readonly high: number
  readonly low: number
  readonly close: number
  readonly volume: number
  readonly trades: number | null
  readonly ts: string
  readonly origin: 'trades' | 'source'
}

/** Rows of a query as JSON-ready objects: timestamps as ISO text in UTC with microseconds, integers beyond 2^53 as text. */
export interface SqlResult {
  readonly columns: readonly string[]
  readonly rows: readonly Readonly<Record<string, unknown>>[]
}

/** Work on old rows that goes on by itself: candles are refreshed, chunks compressed and removed. */
export interface StoreJob {
  readonly name: string
  /** Why it failed the last time, in the database's own words; undefined where it did not. */
  readonly failure: string | undefined
}

/** TimescaleDB, on a server or embedded. A lost connection rejects with STORE_UNAVAILABLE; a later call may succeed. */
export interface Store {
  /** How many `write` calls may run at the same time, each for partitions of its own; further ones wait. */
  readonly lanes: number
  /** Brings the schema up to date. Raises MIGRATION_MISMATCH, STORE_FORBIDDEN, STORE_UNSUPPORTED. */
  migrate(signal: AbortSignal): Promise<MigrationReport>
  /** Raises a fence for each partition: earlier claims can write no more (R8). */
  claim(targets: readonly ClaimTarget[], signal: AbortSignal): Promise<readonly Claim[]>
  /**
   * Writes rows and offsets of all partitions in one transaction, or nothing. Resolves with the claims that the next write
   * needs. Raises FENCED naming the partitions whose claim is no longer valid, OFFSET_GOES_BACK naming those that would move back
   * without `back` (nothing was written), STORE_UNAVAILABLE or TIMEOUT (the outcome is unknown: claim again to learn it).
   */
  write(writes: readonly PartitionWrite[], signal: AbortSignal): Promise<readonly Claim[]>
  trades(query: TradeQuery, signal: AbortSignal): Promise<readonly StoredTrade[]>
  candles(query: CandleQuery, signal: AbortSignal): Promise<readonly StoredCandle[]>
  /** One read-only statement. Raises SQL_INVALID, SQL_READ_ONLY, SQL_TOO_LARGE, TIMEOUT. */
  query(
    sql: string,
    options: { readonly maxRows: number; readonly timeoutMs: number },
    signal: AbortSignal,
  ): Promise<SqlResult>
  /**
   * Says how the background work fares, and does first what is due where nobody else does it; that may take as long as it
   * takes. Called again and again by who writes.
   */
  tendJobs(signal: AbortSignal): Promise<readonly StoreJob[]>
  /** Resolves when the server answers, whatever else it is doing; at once where it is a part of this process. */
  ping(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}
