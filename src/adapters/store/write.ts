import { type StoredChannel, TABLES } from '../../domain/rows.ts'
import type { Claim, PartitionWrite } from '../../ports/store.ts'
import { copyStream } from './copy-binary.ts'
import { writeError } from './database-errors.ts'
import { type Advance, advanceStatement } from './offsets.ts'
import type { SqlSession, TransactionStep } from './session.ts'
import {
  INSERT_LATE_CANDLES,
  INSERT_STAGED_BOOKS,
  INSERT_STAGED_QUOTES,
  INSERT_STAGED_STATUS,
  INSERT_STAGED_TRADES,
  UPSERT_STAGED_CANDLES,
  UPSERT_STAGED_INSTRUMENTS,
} from './staging.ts'

interface Route {
  readonly channel: StoredChannel
  readonly reentering: boolean
  readonly into: string
  /** Moves the rows on from a staging table. */
  readonly move?: string
}

/**
 * Where rows go: straight into their table, or through a staging table and a statement that moves them. Those that enter again
 * come after the others, so that they are compared with those of the same write too.
 */
const ROUTES: readonly Route[] = [
  { channel: 'trade', reentering: false, into: 'trades' },
  { channel: 'trade', reentering: true, into: 'staged_trades', move: INSERT_STAGED_TRADES },
  { channel: 'quote', reentering: false, into: 'quotes' },
  { channel: 'quote', reentering: true, into: 'staged_quotes', move: INSERT_STAGED_QUOTES },
  { channel: 'candle', reentering: false, into: 'staged_candles', move: UPSERT_STAGED_CANDLES },
  { channel: 'candle', reentering: true, into: 'staged_late_candles', move: INSERT_LATE_CANDLES },
  { channel: 'book', reentering: false, into: 'books' },
  { channel: 'book', reentering: true, into: 'staged_books', move: INSERT_STAGED_BOOKS },
  { channel: 'status', reentering: false, into: 'status' },
  { channel: 'status', reentering: true, into: 'staged_events', move: INSERT_STAGED_STATUS },
  { channel: 'instrument', reentering: false, into: 'staged_instruments', move: UPSERT_STAGED_INSTRUMENTS },
  { channel: 'instrument', reentering: true, into: 'staged_instruments', move: UPSERT_STAGED_INSTRUMENTS },
]

/** A write as it travels to the connection: what moves, and one complete COPY stream for each route that has rows. */
export interface WritePlan {
  readonly advances: readonly Advance[]
  readonly copies: readonly (Omit<Route, 'reentering'> & { readonly pieces: readonly Uint8Array[] })[]
  readonly rows: number
  /** Of tables of which all rows lie in many chunks. */
  readonly sparse: readonly SparseRows[]
}

/** Rows that go straight into a table, few for the event time that they span (microseconds). */
interface SparseRows {
  readonly table: string
  readonly rows: number
  readonly from: number
  readonly to: number
}

/** Gathers the rows of all partitions by route. The bytes are those of the segments, which nobody changes. */
export function planWrite(writes: readonly PartitionWrite[]): WritePlan {
  const segments = writes.flatMap((write) => write.segments).filter((segment) => segment.rows > 0)
  return {
    advances: writes.map(({ claim, newOffset, memory, back = false }) => ({
      ...{ claim, next: newOffset, memory, back },
    })),
    copies: ROUTES.flatMap(({ reentering, ...route }) => {
      const own = segments.filter((each) => each.channel === route.channel && each.reentering === reentering)
      return own.length === 0 ? [] : [{ ...route, pieces: copyStream(own.map(({ tuples }) => tuples)) }]
    }),
    rows: segments.reduce((sum, segment) => sum + segment.rows, 0),
    sparse: ROUTES.flatMap((route) => sparseRows(writes, route)),
  }
}

function sparseRows(
  writes: readonly PartitionWrite[],
  { channel, reentering, into, move }: Route,
): SparseRows[] {
  const own = writes.flatMap(({ segments, times }) =>
    segments
      .filter((each) => each.channel === channel && each.reentering === reentering && each.rows > 0)
      .map(({ rows }) => ({ rows, times })),
  )
  if (move !== undefined || own.length === 0) return []
  const times = own.flatMap((each) => each.times ?? [])
  if (times.length < own.length) return []
  return [
    {
      table: into,
      rows: own.reduce((sum, { rows }) => sum + rows, 0),
      from: Math.min(...times.map(({ from }) => from)),
      to: Math.max(...times.map(({ to }) => to)),
    },
  ]
}

/** The claims that the next write needs, once a plan is written. */
export function advancedClaims(plan: WritePlan): readonly Claim[] {
  return plan.advances.map(({ claim, next, memory }) => ({ ...claim, nextOffset: next, memory }))
}

/** Statements in front of the rows of a transaction, and after them. */
export interface Around {
  readonly before: string
  readonly after: string
}

/**
 * Writes a plan in one transaction, or nothing. The offsets come first, so that a fenced writer fails before it copies.
 * Raises FENCED, OFFSET_GOES_BACK, EVENT_INVALID (a row that its table does not take), STORE_UNAVAILABLE.
 */
export async function write(session: SqlSession, plan: WritePlan, around?: Around): Promise<void> {
  const steps: TransactionStep[] = [{ sql: `${advanceStatement(plan.advances)} ${around?.before ?? ''}` }]
  for (const { channel, into, move, pieces } of plan.copies) {
    steps.push({ into, columns: TABLES[channel].columns, pieces })
    if (move !== undefined) steps.push({ sql: move })
  }
  if (around !== undefined) steps.push({ sql: around.after })
  try {
    await session.transaction(steps)
  } catch (error) {
    throw writeError(error)
  }
}
