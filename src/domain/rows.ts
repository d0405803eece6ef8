import type { RecordOf } from './event-codec.ts'

/** Takes rows value by value, in the order of their columns; undefined is null. Each kind of store encodes them in its own way. */
export interface RowWriter {
  startRow(columns: number): void
  text(value: string | undefined): void
  /** A text whose ASCII characters are the bytes of `source` from `start` to before `end`. */
  asciiBytes(source: Uint8Array, start: number, end: number): void
  double(value: number | undefined): void
  integer(value: number | undefined): void
  boolean(value: boolean): void
  /** A list of pairs of doubles, which may be empty. */
  pairs(values: readonly (readonly [number, number])[]): void
  /** Microseconds since the Unix epoch. */
  timestamp(micros: number | undefined): void
  /** As `timestamp`, of the column by which the rows of the table lie in chunks. */
  eventTime(micros: number): void
}

/** The tables that events are stored in. */
type TableName = 'trades' | 'quotes' | 'candles' | 'books' | 'status' | 'instruments'

/** What has a table: the events of all channels, and what exchanges list. */
export type StoredChannel = keyof RecordOf

interface Table<C extends StoredChannel> {
  readonly name: TableName
  /** Columns in the order in which `write` writes them. */
  readonly columns: readonly string[]
  readonly write: (to: RowWriter, event: RecordOf[C]) => void
}

/** How each stored channel becomes rows of its table. */
export const TABLES: { readonly [C in StoredChannel]: Table<C> } = {
  trade: {
    name: 'trades',
    columns: ['exchange', 'symbol', 'id', 'side', 'price', 'size', 'ts', 'recv_ts'],
    write(to, trade) {
      to.startRow(8)
      to.text(trade.exchange)
      to.text(trade.symbol)
      to.text(trade.id)
      to.text(trade.side)
      to.double(trade.price)
      to.double(trade.size)
      to.eventTime(trade.ts)
      to.timestamp(trade.recvTs)
    },
  },
  quote: {
    name: 'quotes',
    columns: [
      'exchange',
      'symbol',
      'bid',
      'bid_size',
      'ask',
      'ask_size',
      'last',
      'volume_24h',
      'ts',
      'recv_ts',
    ],
    write(to, quote) {
      to.startRow(10)
      to.text(quote.exchange)
      to.text(quote.symbol)
      to.double(quote.bid)
      to.double(quote.bidSize)
      to.double(quote.ask)
      to.double(quote.askSize)
      to.double(quote.last)
      to.double(quote.volume24h)
      to.eventTime(quote.ts)
      to.timestamp(quote.recvTs)
    },
  },
  candle: {
    name: 'candles',
    columns: [
      'exchange',
      'symbol',
      'interval',
      'open',
      'high',
      'low',
      'close',
      'volume',
      'trades',
      'ts',
      'closed',
    ],
    write(to, candle) {
      to.startRow(11)
      to.text(candle.exchange)
      to.text(candle.symbol)
      to.text(candle.interval)
      to.double(candle.open)
      to.double(candle.high)
      to.double(candle.low)
      to.double(candle.close)
      to.double(candle.volume)
      to.integer(candle.trades)
      to.eventTime(candle.ts)
      to.boolean(candle.closed)
    },
  },
  book: {
    name: 'books',
    columns: ['exchange', 'symbol', 'bids', 'asks', 'doubt', 'ts', 'recv_ts'],
    write(to, book) {
      to.startRow(7)
      to.text(book.exchange)
      to.text(book.symbol)
      to.pairs(book.bids)
      to.pairs(book.asks)
      to.text(book.doubt)
      to.eventTime(book.ts)
      to.timestamp(book.recvTs)
    },
  },
  status: {
    name: 'status',
    columns: ['source', 'exchange', 'state', 'symbol', 'from_ts', 'to_ts', 'detail', 'ts', 'cause'],
    write(to, status) {
      to.startRow(9)
      to.text(status.source)
      to.text(status.exchange)
      to.text(status.state)
      to.text(status.symbol)
      to.timestamp(status.from)
      to.timestamp(status.to)
      to.text(status.detail)
      to.eventTime(status.ts)
      to.text(status.cause)
    },
  },
  instrument: {
    name: 'instruments',
    columns: ['exchange', 'symbol', 'name', 'base', 'quote', 'tick', 'lot', 'status', 'ts'],
    write(to, listed) {
      to.startRow(9)
      to.text(listed.exchange)
      to.text(listed.symbol)
      to.text(listed.name)
      to.text(listed.base)
      to.text(listed.quote)
      to.text(listed.tick)
      to.text(listed.lot)
      to.text(listed.status)
      to.eventTime(listed.ts)
    },
  },
}
