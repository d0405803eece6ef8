import type { Interval } from '../domain/events.ts'
import type { Market, MarketQuery } from '../domain/markets.ts'
import type { ReaderMemory } from '../domain/reader-rules.ts'
import type { RowOrder, RowPosition } from '../domain/row-cursor.ts'
import type { RowWriter, StoredChannel } from '../domain/rows.ts'
import type { StoredRow } from '../domain/stored-rows.ts'

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
  /** The offset up to which the partition of a former topic of this name is stored; left out where there was none. */
  readonly formerOffset?: number
}

/** Rows of one table as the store encodes them. Bytes from the beginning of one row to the beginning of another are rows too. */
export interface RowBuffer extends RowWriter {
  readonly rows: number
  /** How many bytes are written, and how many were before the last row. */
  readonly length: number
  readonly rowStart: number
  /** The `eventTime` of the last row. */
  readonly time: number
  /** The rows written so far; nobody may use the buffer afterwards. */
  finish(): Uint8Array
}

/** Memory for the rows of one writer, which it uses again and again. */
export interface RowMemory {
  /** A buffer for the rows of a batch. */
  buffer(): RowBuffer
  /** A buffer for a few rows. */
  smallBuffer(): RowBuffer
  /** The rows in a buffer, which `release` gives back; nobody may use the buffer afterwards. */
  finish(buffer: RowBuffer): Uint8Array
  /** Takes back what `finish` gave: nobody may read it afterwards. What is not of this memory, or back already, is left alone. */
  release(rows: Uint8Array): void
}

/** Rows of one table, from a buffer of the store. */
export interface RowSegment {
  readonly channel: StoredChannel
  readonly tuples: Uint8Array
  readonly rows: number
  /**
   * These rows enter again. The store leaves out those that the table has: trades by exchange, symbol, id and ts, quotes and status by all
   * columns. A candle that enters again replaces only one that is not closed yet.
   */
  readonly reentering: boolean
}

/** The rows of one partition from `nextOffset` of the claim up to `newOffset`, and what a reader remembers there. */
export interface PartitionWrite {
  readonly claim: Claim
  readonly newOffset: number
  readonly memory: ReaderMemory
  readonly segments: readonly RowSegment[]
  /**
   * The event times (microseconds, `to` not included) between which the rows lie; only where the rows lie in many chunks. Chunks of the past
   * may be longer than those of now.
   */
  readonly times?: { readonly from: number; readonly to: number }
  /** The log has become shorter than what was stored of it: `newOffset` may lie below the claim's. */
  readonly back?: true
}

export interface MigrationReport {
  readonly applied: readonly string[]
  readonly current: string
  /** What the database cannot do, and what the platform leaves out for it, one line each. */
  readonly missing: readonly string[]
}

/** Rows of one market in a range of time. */
export interface RowQuery {
  readonly exchange?: string
  readonly symbol: string
  /** Microseconds, both ends included. */
  readonly from?: number
  readonly to?: number
  /** Without an order the store reads the newest rows that match, and gives them with the oldest first. */
  readonly order?: RowOrder
  /** Only what lies after it in the order of the read. */
  readonly after?: RowPosition
  readonly limit: number
}

/** Candles computed from trades, or as the source says. */
export interface CandleQuery extends RowQuery {
  readonly interval: Interval
  readonly origin: 'trades' | 'source'
}

/** Rows of a query as JSON-ready objects: timestamps as ISO text in UTC with microseconds, integers beyond 2^53 as text. */
export interface SqlResult {
  readonly columns: readonly string[]
  readonly rows: readonly Readonly<Record<string, unknown>>[]
}

/** Background work on old rows: it refreshes candles, compresses chunks and removes them. */
export interface StoreJob {
  readonly name: string
  /** Why it failed the last time, in the database's own words; undefined if it did not. */
  readonly failure: string | undefined
}

/** TimescaleDB, on a server or embedded. A lost connection rejects with STORE_UNAVAILABLE; a later call may succeed. */
export interface Store {
  /** How many `write` calls run at the same time, each for partitions of its own; further calls wait. */
  readonly lanes: number
  /** The shortest event time that one chunk of a table spans, in microseconds. One transaction should not touch many chunks. */
  readonly chunkMicros: number
  /** Brings the schema up to date. Raises MIGRATION_MISMATCH, STORE_FORBIDDEN, STORE_UNSUPPORTED. */
  migrate(signal: AbortSignal): Promise<MigrationReport>
  rowMemory(): RowMemory
  /** Raises a fence for each partition: earlier claims can write no more (R8). */
  claim(targets: readonly ClaimTarget[], signal: AbortSignal): Promise<readonly Claim[]>
  /**
   * Writes rows and offsets of all partitions in one transaction, or nothing. Resolves with the claims that the next write needs. Raises:
   * - FENCED: nothing was written; names the partitions whose claim is no longer valid.
   * - OFFSET_GOES_BACK: nothing was written; names the partitions that would move back without `back`.
   * - STORE_UNAVAILABLE, TIMEOUT: the outcome is unknown; a new claim tells it.
   */
  write(writes: readonly PartitionWrite[], signal: AbortSignal): Promise<readonly Claim[]>
  trades(query: RowQuery, signal: AbortSignal): Promise<readonly StoredRow<'trade'>[]>
  quotes(query: RowQuery, signal: AbortSignal): Promise<readonly StoredRow<'quote'>[]>
  candles(query: CandleQuery, signal: AbortSignal): Promise<readonly StoredRow<'candle'>[]>
  /** The markets that have trades, by symbol and exchange. */
  markets(query: MarketQuery, signal: AbortSignal): Promise<readonly Market[]>
  /** One read-only statement. Raises SQL_INVALID, SQL_READ_ONLY, SQL_TOO_LARGE, TIMEOUT. */
  query(
    sql: string,
    options: { readonly maxRows: number; readonly timeoutMs: number },
    signal: AbortSignal,
  ): Promise<SqlResult>
  /**
   * Tells how the background work fares. Where nobody else does that work, the call first does what is due, however long that takes. A writer
   * calls it again and again.
   */
  tendJobs(signal: AbortSignal): Promise<readonly StoreJob[]>
  /** Resolves when the server answers, whatever else it is doing; at once where the store runs in this process. */
  ping(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}
