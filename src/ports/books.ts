import type { Book } from '../domain/events.ts'
import type { Position } from '../domain/record.ts'
import type { Market } from './source.ts'

/** The book of a market after a record of the log. */
export interface BookNow {
  /** All levels that are shown. */
  readonly book: Book
  /** Of that record. */
  readonly position: Position
}

/** The books of markets as the log has them. */
export interface Books {
  /**
   * Raises BOOK_UNKNOWN where the log of the last minutes has none, BOOK_IN_DOUBT where nobody may use it, and BROKER_UNAVAILABLE.
   */
  read(market: Market, signal: AbortSignal): Promise<BookNow>
}
