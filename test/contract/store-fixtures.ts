import { randomUUID } from 'node:crypto'
import { TupleWriter } from '../../src/adapters/store/copy-binary.ts'
import type { RecordOf } from '../../src/domain/event-codec.ts'
import type { Book, Candle, Quote, Status, Trade } from '../../src/domain/events.ts'
import { emptyMemory } from '../../src/domain/reader-rules.ts'
import { type StoredChannel, TABLES } from '../../src/domain/rows.ts'
import type { Claim, PartitionWrite, RowSegment, SqlResult, Store } from '../../src/ports/store.ts'

/**
 * 2100-01-01 00:00:00 UTC in microseconds, the start of every interval. Ahead of the clock, so that no candle of it has
 * been materialised yet and trades are in theirs at once.
 */
export const MIDNIGHT = Date.UTC(2100, 0, 1) * 1000

/** A signal that ends the test's wait long before the runner gives up. */
export function deadline(): AbortSignal {
  return AbortSignal.timeout(30_000)
}

/** A name that no other test has: of a topic, an exchange or a symbol. */
export function unique(prefix: string): string {
  return `${prefix}-${randomUUID()}`
}

/** The claim of a partition that nobody has seen yet, or the next claim of one. */
export async function claimOne(store: Store, topic: string, partition = 0): Promise<Claim> {
  const [claim] = await store.claim([{ topic, topicId: `id of ${topic}`, partition }], deadline())
  if (claim === undefined) throw new Error('no claim was given')
  return claim
}

export function segment<C extends StoredChannel>(
  channel: C,
  events: readonly RecordOf[C][],
  reentering = false,
): RowSegment {
  const writer = new TupleWriter()
  for (const event of events) TABLES[channel].write(writer, event)
  return { channel, tuples: writer.finish(), rows: writer.rows, reentering }
}

/** A write that moves a claim by so many records. */
export function writeOf(claim: Claim, records: number, ...segments: RowSegment[]): PartitionWrite {
  return { claim, newOffset: claim.nextOffset + records, memory: emptyMemory(), segments }
}

/** Writes rows under a partition of its own. */
export async function store(to: Store, ...segments: RowSegment[]): Promise<void> {
  await to.write([writeOf(await claimOne(to, unique('topic')), 1, ...segments)], deadline())
}

export function trade(changes: Partial<Trade> = {}): Trade {
  return {
    exchange: 'coinbase',
    symbol: 'BTC-USD',
    id: '1',
    side: 'buy',
    price: 100,
    size: 1,
    ts: MIDNIGHT,
    recvTs: MIDNIGHT + 1,
    ...changes,
  }
}

export function quote(changes: Partial<Quote> = {}): Quote {
  return { exchange: 'coinbase', symbol: 'BTC-USD', ts: MIDNIGHT, recvTs: MIDNIGHT + 1, ...changes }
}

export function book(changes: Partial<Book> = {}): Book {
  return {
    ...{ exchange: 'kraken', symbol: 'BTC-USD', snapshot: true, bids: [[9, 1]], asks: [[10, 2]], seq: 1 },
    ...{ ts: MIDNIGHT, recvTs: MIDNIGHT + 1 },
    ...changes,
  }
}

export function candle(changes: Partial<Candle> = {}): Candle {
  return {
    exchange: 'coinbase',
    symbol: 'BTC-USD',
    interval: '1m',
    open: 1,
    high: 4,
    low: 0.5,
    close: 2,
    volume: 10,
    ts: MIDNIGHT,
    closed: false,
    origin: 'source',
    ...changes,
  }
}

export function status(changes: Partial<Status> = {}): Status {
  return { source: 'simulator', exchange: '', state: 'connected', detail: '', ts: MIDNIGHT, ...changes }
}

export function sql(from: Store, statement: string, maxRows = 1000): Promise<SqlResult> {
  return from.query(statement, { maxRows, timeoutMs: 20_000 }, deadline())
}

/** The ids of a market's trades, in the order of the table's times. */
export async function storedIds(from: Store, symbol: string): Promise<string[]> {
  const found = await from.trades({ symbol, limit: 100_000 }, deadline())
  return found.map(({ id }) => id)
}
