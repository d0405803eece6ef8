import { assembleCopy } from '../../domain/copy-binary.ts'
import { type StoredChannel, TABLES } from '../../domain/rows.ts'
import type { Claim, PartitionWrite } from '../../ports/store.ts'
import { writeError } from './database-errors.ts'
import { type Advance, advanceStatement } from './offsets.ts'
import type { SqlSession, TransactionStep } from './session.ts'
import { INSERT_STAGED_TRADES, UPSERT_STAGED_CANDLES } from './staging.ts'

/** Where rows go: straight into their table, or through a staging table and a statement that moves them. */
const ROUTES = {
  trade: { into: 'trades', channel: 'trade', move: undefined },
  reenteringTrade: { into: 'staged_trades', channel: 'trade', move: INSERT_STAGED_TRADES },
  quote: { into: 'quotes', channel: 'quote', move: undefined },
  candle: { into: 'staged_candles', channel: 'candle', move: UPSERT_STAGED_CANDLES },
  status: { into: 'status', channel: 'status', move: undefined },
} as const satisfies Record<string, { into: string; channel: StoredChannel; move: string | undefined }>

type Route = keyof typeof ROUTES

/** A write as it travels to the connection: what moves, and one complete COPY stream for each route that has rows. */
export interface WritePlan {
  readonly advances: readonly Advance[]
  readonly copies: readonly { readonly route: Route; readonly bytes: Uint8Array<ArrayBuffer> }[]
  readonly rows: number
}

/**
 * Gathers the rows of all partitions by route. The bytes are copies: a caller that must write again, since it does not
 * know how this write ended, still has its own. Trades that enter again come after the others, so that they are compared
 * with those of the same write too.
 */
export function planWrite(writes: readonly PartitionWrite[]): WritePlan {
  const segments = writes.flatMap((write) => write.segments).filter((segment) => segment.rows > 0)
  const routes = Object.keys(ROUTES) as Route[]
  return {
    advances: writes.map(({ claim, newOffset, memory }) => ({ claim, next: newOffset, memory })),
    copies: routes.flatMap((route) => {
      const own = segments.filter((segment) => routeOf(segment) === route)
      return own.length === 0 ? [] : [{ route, bytes: assembleCopy(own.map((segment) => segment.tuples)) }]
    }),
    rows: segments.reduce((sum, segment) => sum + segment.rows, 0),
  }
}

function routeOf({ channel, reentering }: PartitionWrite['segments'][number]): Route {
  return channel === 'trade' && reentering ? 'reenteringTrade' : channel
}

/** The claims that the next write needs, once a plan is written. */
export function advancedClaims(plan: WritePlan): readonly Claim[] {
  return plan.advances.map(({ claim, next, memory }) => ({ ...claim, nextOffset: next, memory }))
}

/**
 * Writes a plan in one transaction, or nothing. The offsets come first, so that a fenced writer fails before it copies.
 * Raises FENCED, EVENT_INVALID (a row that its table does not take), STORE_UNAVAILABLE.
 */
export async function write(session: SqlSession, plan: WritePlan): Promise<void> {
  const steps: TransactionStep[] = [{ sql: advanceStatement(plan.advances) }]
  for (const { route, bytes } of plan.copies) {
    const { into, channel, move } = ROUTES[route]
    steps.push({ into, columns: TABLES[channel].columns, bytes })
    if (move !== undefined) steps.push({ sql: move })
  }
  try {
    await session.transaction(steps)
  } catch (error) {
    throw writeError(error)
  }
}
