import { tables } from './0001-tables.ts'
import { hypertables } from './0002-hypertables.ts'
import { candleAggregates } from './0003-candle-aggregates.ts'
import { columnstore } from './0004-columnstore.ts'
import { reentering } from './0005-reentering.ts'
import { offsetsForward } from './0006-offsets-forward.ts'
import { tradeIdentity } from './0007-trade-identity.ts'
import { candleOrder } from './0008-candle-order.ts'
import { widerCandles } from './0009-wider-candles.ts'
import { instruments } from './0010-instruments.ts'
import { books } from './0011-books.ts'
import { booksHypertable } from './0012-books-hypertable.ts'
import { booksColumnstore } from './0013-books-columnstore.ts'
import type { Migration } from './migration.ts'

/** The schema, in the order in which it is built. New steps go to the end. */
export const MIGRATIONS: readonly Migration[] = [
  tables,
  hypertables,
  candleAggregates,
  columnstore,
  reentering,
  offsetsForward,
  tradeIdentity,
  candleOrder,
  widerCandles,
  instruments,
  books,
  booksHypertable,
  booksColumnstore,
]
