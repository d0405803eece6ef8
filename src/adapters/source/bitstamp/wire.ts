import type { Trade } from '../../../domain/events.ts'
import { readLevels } from '../feed/book-wire.ts'
import type { ExchangeWire, WireItem, WireOperation } from '../feed/exchange-wire.ts'
import { parseJson } from '../feed/text.ts'
import { bestOfLevels, type Fields, fieldsOf, microsOfEpoch, namesOf, textOf } from '../feed/wire-fields.ts'

const CHANNELS = { trade: 'live_trades_', quote: 'order_book_', book: 'order_book_' } as const

const SIDES: ReadonlyMap<unknown, Trade['side']> = new Map([
  [0, 'buy'],
  [1, 'sell'],
])

const frameFor = (operation: WireOperation, channel: string) =>
  JSON.stringify({ event: `bts:${operation}`, data: { channel } })

/**
 * Bitstamp's WebSocket, version 2: one channel a request. It has no channel of best prices, so they are those of the order book. A market that it does not have is
 * taken, and stays silent. Ids of trades are whole numbers beyond 2^53, and do not follow each other. Each frame of a book has its best 100 levels.
 * Format: https://www.bitstamp.net/websocket/v2/
 */
export function createBitstampWire(): ExchangeWire {
  /** Reading all levels costs more than all else. */
  let hasBooks = false
  return {
    exchange: 'bitstamp',
    nameOf,
    mostNames: 1,
    framesPerSecond: 100,
    ping: { frame: JSON.stringify({ event: 'bts:heartbeat' }), everyMs: 20_000 },
    books: { isWhole: true },
    ask(operation, names, channels) {
      hasBooks ||= channels.includes('book')
      const asked = [...new Set(namesOf(CHANNELS, channels))]
      return names.flatMap((name) => asked.map((channel) => frameFor(operation, channel + name)))
    },
    read(text) {
      const { event, channel, data } = fieldsOf(parseJson(text))
      const name = textOf(channel).replace(/^(live_trades|order_book)_/, '')
      if (event === 'trade') return [readTrade(name, fieldsOf(data))]
      if (event === 'data') return readBook(textOf(channel), name, fieldsOf(data), hasBooks)
      if (event === 'bts:heartbeat') return [{ kind: 'heartbeat' }]
      if (event === 'bts:subscription_succeeded') return [{ kind: 'taken', name }]
      if (event === 'bts:request_reconnect') return [{ kind: 'ended', words: event }]
      if (event === 'bts:error') return [{ kind: 'refused', name, words: textOf(fieldsOf(data)['message']) }]
      return [{ kind: typeof event === 'string' ? 'neutral' : 'malformed' }]
    },
  }
}

/** What Bitstamp calls the market of a symbol. */
export function nameOf(symbol: string): string {
  return symbol.replace('-', '').toLowerCase()
}

/** The fields that end in `_str` have all digits; older recordings have the others only. */
function readTrade(name: string, fields: Fields): WireItem {
  const { id_str, id, price_str, price, amount_str, amount, type, microtimestamp } = fields
  return {
    ...{ kind: 'trade', name, id: id_str ?? id, side: SIDES.get(type) },
    ...{ price: price_str ?? price, size: amount_str ?? amount, ts: microsOfEpoch(microtimestamp) },
  }
}

function readBook(
  channel: string,
  name: string,
  { bids, asks, microtimestamp }: Fields,
  isWanted: boolean,
): readonly WireItem[] {
  if (!channel.startsWith(CHANNELS.book)) return [{ kind: 'neutral' }]
  const ts = microsOfEpoch(microtimestamp)
  const quote: WireItem = { kind: 'quote', name, update: bestOfLevels(bids, asks), ts }
  if (!isWanted) return [quote]
  const place = ts === undefined ? undefined : { last: ts }
  const levels = { bids: readLevels(bids), asks: readLevels(asks) }
  return [quote, { kind: 'book', name, snapshot: true, ...levels, place, ts }]
}
