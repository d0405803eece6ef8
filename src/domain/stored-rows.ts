import { z } from 'zod'

/** What a column holds: text, a number that may have a fraction, a whole number, or a time. */
export type ColumnKind = 'text' | 'number' | 'count' | 'time'

export interface Column<Schema extends z.ZodType = z.ZodType> {
  readonly kind: ColumnKind
  /** Its value in an answer; times are ISO 8601 in UTC with microseconds. */
  readonly schema: Schema
}

function column<Schema extends z.ZodType>(kind: ColumnKind, schema: Schema, about?: string): Column<Schema> {
  return { kind, schema: about === undefined ? schema : schema.describe(about) }
}

const exchange = column('text', z.string(), 'Our lower-case name; cccagg is the aggregate of CryptoCompare.')
const symbol = column('text', z.string(), 'BASE-QUOTE for spot markets, such as BTC-USD.')
const eventTime = column('time', z.string(), 'Event time.')
const arrival = column('time', z.string(), 'When it was received.')
const number = column('number', z.number())
const unlessAbsent = column('number', z.number().nullable())

/**
 * The stored rows that the API gives, column by column, as answers and files have them. `key` orders the rows of a market, the time first. Nobody
 * can tell rows with the same key apart.
 */
export const STORED_ROWS = {
  trade: {
    columns: {
      exchange,
      symbol,
      id: column('text', z.string()),
      side: column('text', z.string(), "The taker's: buy, sell or unknown."),
      price: number,
      size: number,
      ts: eventTime,
      recvTs: arrival,
    },
    key: ['ts', 'id', 'recvTs', 'exchange', 'price', 'size', 'side'],
  },
  quote: {
    columns: {
      exchange,
      symbol,
      bid: unlessAbsent,
      bidSize: unlessAbsent,
      ask: unlessAbsent,
      askSize: unlessAbsent,
      last: unlessAbsent,
      volume24h: unlessAbsent,
      ts: eventTime,
      recvTs: arrival,
    },
    key: ['ts', 'recvTs', 'exchange', 'bid', 'bidSize', 'ask', 'askSize', 'last', 'volume24h'],
  },
  candle: {
    columns: {
      exchange,
      symbol,
      interval: column('text', z.string()),
      open: number,
      high: number,
      low: number,
      close: number,
      volume: number,
      trades: column('count', z.number().int().nullable()),
      ts: column('time', z.string(), 'Start of the interval.'),
      origin: column('text', z.enum(['trades', 'source'])),
    },
    key: ['ts', 'exchange'],
  },
} as const

/** The channels whose rows are read back. */
export type RowChannel = keyof typeof STORED_ROWS

type Columns = Readonly<Record<string, Column>>

/** A row of a channel in an answer. */
export type StoredRow<C extends RowChannel> = {
  readonly [Name in keyof (typeof STORED_ROWS)[C]['columns']]: (typeof STORED_ROWS)[C]['columns'][Name] extends Column<
    infer Schema
  >
    ? z.output<Schema>
    : never
}

/** The columns of a channel by name, in order. */
export function columnsOf(channel: RowChannel): readonly (readonly [name: string, column: Column])[] {
  return Object.entries(STORED_ROWS[channel].columns)
}

/** The schema of one row. */
export function rowSchema<C extends Columns>(
  columns: C,
): z.ZodObject<{ -readonly [Name in keyof C]: C[Name]['schema'] }> {
  const entries = Object.entries(columns).map(([name, { schema }]) => [name, schema])
  return z.object(Object.fromEntries(entries)) as ReturnType<typeof rowSchema<C>>
}
