import type { NewLevel } from '../../../domain/order-book.ts'
import type { WireBook } from '../feed/book-wire.ts'
import type { ExchangeWire, WireItem, WireTrade } from '../feed/exchange-wire.ts'
import { parseJson } from '../feed/text.ts'
import { readAmount, readNumber, readPrice } from '../feed/values.ts'
import { type Fields, fieldsOf, listOf, microsOfIso, namesOf, textOf } from '../feed/wire-fields.ts'

/** What a subscribe calls the channels; books come back as `l2_data`. */
const CHANNELS = { trade: 'market_trades', quote: 'ticker', book: 'level2' } as const

const HEARTBEATS = 'heartbeats'

/** The side that is told is the maker's. */
const TAKER_SIDE: ReadonlyMap<unknown, 'buy' | 'sell'> = new Map([
  ['BUY', 'sell'],
  ['SELL', 'buy'],
])

/**
 * Coinbase Advanced Trade's market data. A frame asks for one channel. All messages of a connection are numbered together: where one is missing, nobody knows of which market
 * it was, and the connection is made anew. Format: https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels
 */
export function createCoinbaseAdvancedWire(): ExchangeWire {
  /** The number of the last message. */
  let last: number | undefined
  let hasHeartbeats = false
  /** The number of the last message about the book of a market. */
  const books = new Map<unknown, number>()

  const readBook = (event: Fields, sequence: number, ts: number | undefined): WireBook => {
    const { type, product_id: name, updates } = event
    const place = { last: sequence, previous: books.get(name) }
    if (typeof name === 'string') books.set(name, sequence)
    return { kind: 'book', name, snapshot: type === 'snapshot', ...readUpdates(updates), place, ts }
  }

  const readEvents = (frame: Fields, sequence: number): readonly WireItem[] => {
    const events = listOf(frame['events']).map(fieldsOf)
    const ts = microsOfIso(frame['timestamp'])
    switch (frame['channel']) {
      case 'market_trades':
        return events.flatMap(({ trades }) => listOf(trades).map(readTrade)).toSorted(byTime)
      case 'ticker':
        return events.flatMap(({ tickers }) =>
          listOf(tickers).map((each) => readTicker(fieldsOf(each), ts, sequence)),
        )
      case 'l2_data':
        return events.map((event) => readBook(event, sequence, ts))
      case 'subscriptions':
        return events.flatMap(({ subscriptions }) => readTaken(fieldsOf(subscriptions)))
      case HEARTBEATS:
        return [{ kind: 'heartbeat' }]
      default:
        return [{ kind: 'neutral' }]
    }
  }

  return {
    exchange: 'coinbase',
    nameOf: (symbol) => symbol,
    mostNames: 10,
    framesPerSecond: 7,
    refusesWhole: true,
    books: { sequence: 'links', isUnsorted: true },
    ask(type, names, channels) {
      const frames = namesOf(CHANNELS, channels).map((channel) => ({ type, channel, product_ids: names }))
      // A connection on which a channel is silent for a minute is closed.
      const beats = type === 'subscribe' && !hasHeartbeats ? [{ type, channel: HEARTBEATS }] : []
      hasHeartbeats ||= beats.length > 0
      return [...frames, ...beats].map((frame) => JSON.stringify(frame))
    },
    opened() {
      last = undefined
      hasHeartbeats = false
      books.clear()
    },
    read(text) {
      const frame = fieldsOf(parseJson(text))
      if (frame['type'] === 'error') return [{ kind: 'refused', words: textOf(frame['message']) }]
      const { sequence_num: sequence } = frame
      if (typeof frame['channel'] !== 'string' || !Number.isSafeInteger(sequence))
        return [{ kind: 'malformed' }]
      const [number, before] = [sequence as number, last]
      if (number === before) return [{ kind: 'neutral' }]
      last = number
      if (before !== undefined && number !== before + 1)
        return [{ kind: 'ended', words: `message ${before + 1} is missing: ${number} came after ${before}` }]
      const items = readEvents(frame, number)
      return items.length > 0 ? items : [{ kind: 'neutral' }]
    },
  }
}

function readTrade(row: unknown): WireTrade {
  const { trade_id: id, product_id: name, price, size, side, time } = fieldsOf(row)
  return { kind: 'trade', name, id, side: TAKER_SIDE.get(side), price, size, ts: microsOfIso(time) }
}

/** The first trades after a subscribe are those before it, in whatever order. */
function byTime(a: WireTrade, b: WireTrade): number {
  return (a.ts ?? 0) - (b.ts ?? 0) || (readNumber(a.id) ?? 0) - (readNumber(b.id) ?? 0)
}

function readTicker(fields: Fields, ts: number | undefined, sequence: number): WireItem {
  const { product_id: name, best_bid: bid, best_ask: ask, price: last, volume_24_h: volume24h } = fields
  const sizes = { bidSize: fields['best_bid_quantity'], askSize: fields['best_ask_quantity'] }
  return { kind: 'quote', name, update: { bid, ask, ...sizes, last, volume24h }, ts, sequence }
}

/** Which products of which channel are asked for now: all of the connection. */
function readTaken(channels: Fields): readonly WireItem[] {
  const names = Object.values(channels).flatMap((products) => listOf(products))
  return [...new Set(names)]
    .filter((name) => typeof name === 'string')
    .map((name): WireItem => ({ kind: 'taken', name }))
}

/** The levels of both sides; undefined where one cannot be read. */
function readUpdates(updates: unknown): Pick<WireBook, 'bids' | 'asks'> {
  const unreadable = { bids: undefined, asks: undefined }
  if (!Array.isArray(updates)) return unreadable
  const levels: { readonly bids: NewLevel[]; readonly asks: NewLevel[] } = { bids: [], asks: [] }
  for (const update of updates) {
    const { side, price_level, new_quantity } = fieldsOf(update)
    const price = readPrice(price_level)
    const size = readAmount(new_quantity)
    if (price === undefined || size === undefined || (side !== 'bid' && side !== 'offer')) return unreadable
    levels[side === 'bid' ? 'bids' : 'asks'].push({ price, size })
  }
  return levels
}
