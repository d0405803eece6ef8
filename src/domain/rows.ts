import type { TupleWriter } from './copy-binary.ts'
import type { Channel, EventOf } from './events.ts'

/** The tables that events are stored in. */
type TableName = 'trades' | 'quotes' | 'candles' | 'status'

/** The channels that have a table; books are not stored yet. */
export type StoredChannel = Exclude<Channel, 'book'>

interface Table<C extends StoredChannel> {
  readonly name: TableName
  /** Columns in the order in which `write` writes them. */
  readonly columns: readonly string[]
  readonly write: (to: TupleWriter, event: EventOf[C]) => void
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
}
