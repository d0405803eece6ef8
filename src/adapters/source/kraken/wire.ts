import { krakenDigits } from '../../../domain/book-checksum.ts'
import { hashOf } from '../../../domain/crc32.ts'
import type { NewLevel } from '../../../domain/order-book.ts'
import { depthOf } from '../feed/book-wire.ts'
import type { ExchangeWire, WireItem } from '../feed/exchange-wire.ts'
import { frameForm, keptText, NUMBER } from '../feed/frame-form.ts'
import { parseExact } from '../feed/text.ts'
import { readAmount, readPrice } from '../feed/values.ts'
import { type Fields, fieldsOf, listOf, microsOfIso, namesOf, sideOf, textOf } from '../feed/wire-fields.ts'
import { usualAsset } from './assets.ts'

/** The last 50 trades come with each subscribe: what was missed meanwhile is among them in most markets. */
const CHANNELS = {
  trade: { channel: 'trade', snapshot: true },
  quote: { channel: 'ticker', event_trigger: 'bbo' },
  book: { channel: 'book', snapshot: true },
} as const

const DEPTHS = [10, 25, 100, 500, 1_000]

const LEVEL = `\\{"price":${NUMBER},"qty":${NUMBER}\\}`
const ROW = /"price":([\d.]+),"qty":([\d.]+)/g

/** A frame with one trade, and the change of one book. */
const TRADE = frameForm(
  '{"channel":"trade","type":"update","data":[{"symbol":"<name>","side":"<name>","price":<number>,"qty":<number>,"ord_type":"<?name>","trade_id":<whole>,"timestamp":"<name>"}]}',
)
const CHANGE = frameForm(
  '{"channel":"book","type":"update","data":[{"symbol":"<name>","bids":[<levels>],"asks":[<levels>],"checksum":<whole>,"timestamp":"<name>"}]}',
  { levels: `(?:${LEVEL}(?:,${LEVEL})*)?` },
)

/** How a market's numbers are written: with so many digits after the dot. */
interface Decimals {
  price: number
  size: number
  /** A frame with levels has shown it. */
  isTold: boolean
}

/**
 * Kraken's spot WebSocket, version 2. Each market is answered by itself. Ids of trades rise, but nobody promises that none is left out. A book has no numbers: its
 * checksum alone shows what is missing. Format: https://docs.kraken.com/exchange/api-reference/spot-websocket-v2/trade
 */
export function createKrakenWire(): ExchangeWire {
  /** By market, as far as its books have shown. */
  const decimals = new Map<unknown, Decimals>()
  return {
    exchange: 'kraken',
    nameOf: (symbol) => symbol.replace('-', '/'),
    usualAsset,
    mostNames: 100,
    framesPerSecond: 10,
    ping: { frame: JSON.stringify({ method: 'ping' }), everyMs: 20_000 },
    books: { checksum: 'asks-then-bids', kept: (depth) => depthOf(DEPTHS, depth) },
    opened: () => decimals.clear(),
    ask: (method, names, channels, request, depth) =>
      namesOf(CHANNELS, channels).map((asked) => {
        const params = {
          ...asked,
          symbol: names,
          ...(asked.channel === 'book' && { depth: depthOf(DEPTHS, depth) }),
        }
        return JSON.stringify({ method, params, req_id: request })
      }),
    read(text) {
      const change = CHANGE(text)
      if (change !== undefined) return readBooks(text, changeOf(change), decimals)
      const [, symbol, side, price, qty, id = '', timestamp] = TRADE(text) ?? []
      if (symbol !== undefined)
        return [
          readTrade({
            symbol,
            side,
            price: Number(price),
            qty: Number(qty),
            trade_id: keptText(id),
            timestamp,
          }),
        ]
      const frame = fieldsOf(parseExact(text))
      const { channel, method } = frame
      if (channel === 'book') return readBooks(text, frame, decimals)
      if (channel === 'heartbeat' || method === 'pong') return [{ kind: 'heartbeat' }]
      if (channel === 'trade') return itemsOf(frame, readTrade)
      if (channel === 'ticker') return itemsOf(frame, readTicker)
      if (method === 'subscribe') return [readAnswer(frame)]
      return [{ kind: typeof channel === 'string' || typeof method === 'string' ? 'neutral' : 'malformed' }]
    },
  }
}

/** The fields of a change of one book. */
function changeOf([, symbol, bids, asks, checksum, timestamp]: readonly (string | undefined)[]): Fields {
  const data = [{ symbol, bids: rowsOf(bids), asks: rowsOf(asks), checksum: Number(checksum), timestamp }]
  return { type: 'update', data }
}

function rowsOf(rows = ''): readonly Fields[] {
  const read: Fields[] = []
  ROW.lastIndex = 0
  for (let row = ROW.exec(rows); row !== null; row = ROW.exec(rows))
    read.push({ price: Number(row[1]), qty: Number(row[2]) })
  return read
}

/** Numbers with more digits than a double keeps stand in the frame as their digits: the checksum is made of these. */
function readBooks(
  text: string,
  { type, data }: Fields,
  decimals: Map<unknown, Decimals>,
): readonly WireItem[] {
  if (!Array.isArray(data) || (type !== 'snapshot' && type !== 'update')) return [{ kind: 'malformed' }]
  return data.map((each) => {
    const { symbol: name, bids, asks, checksum, timestamp } = fieldsOf(each)
    const known = decimals.get(name) ?? { price: 0, size: 0, isTold: false }
    if (typeof name === 'string') decimals.set(name, known)
    if (!known.isTold || type === 'snapshot') look(text, known)
    const levels = () => ({ bids: readSide(bids, known), asks: readSide(asks, known) })
    const digits = known.price + known.size
    const read = levels()
    return {
      ...{ kind: 'book', name, snapshot: type === 'snapshot', ts: microsOfIso(timestamp) },
      // A number that has shown more digits than those before it: these are hashed anew.
      ...(known.price + known.size > digits ? levels() : read),
      // One that cannot be read holds for no book.
      checksum: checksum === undefined || typeof checksum === 'number' ? checksum : Number.NaN,
    }
  })
}

const DECIMALS = /"(price|qty)":\s*\d+(?:\.(\d+))?/g

/** How the numbers of a frame are written: a parser drops the zeros at their ends. */
function look(text: string, known: Decimals): void {
  for (const [, field, digits = ''] of text.matchAll(DECIMALS)) {
    const which = field === 'price' ? 'price' : 'size'
    known[which] = Math.max(known[which], digits.length)
    known.isTold = true
  }
}

/** Levels that have their fields by name. Undefined where one cannot be read. */
function readSide(rows: unknown = [], known: Decimals): readonly NewLevel[] | undefined {
  if (!Array.isArray(rows)) return undefined
  const levels: NewLevel[] = []
  for (const row of rows) {
    const { price: sentPrice, qty } = fieldsOf(row)
    const [price, size] = [readPrice(sentPrice), readAmount(qty)]
    if (price === undefined || size === undefined) return undefined
    const hash = hashOf(hashedText(sentPrice, known, 'price'), hashedText(qty, known, 'size'))
    levels.push({ price, size, hash })
  }
  return levels
}

const POWERS = Array.from({ length: 16 }, (_, digits) => 10 ** digits)

/** A number as the exchange writes and hashes it: recordings have lost zeros at its end, and may show only later how many there are. */
function hashedText(value: unknown, known: Decimals, which: 'price' | 'size'): string {
  const power = POWERS[known[which]]
  if (typeof value === 'number' && power !== undefined) {
    const digits = Math.round(value * power)
    // Both are exact, and so this is the double that was read where no digit is left out.
    if (digits > 0 && digits <= Number.MAX_SAFE_INTEGER && digits / power === value) return String(digits)
  }
  const text = String(value)
  if (/e/i.test(text)) return krakenDigits(Number(value).toFixed(Math.min(known[which], 20)))
  const dot = text.indexOf('.')
  const decimals = dot < 0 ? 0 : text.length - dot - 1
  if (decimals > known[which]) known[which] = decimals
  return krakenDigits(text) + ZEROS.slice(0, known[which] - decimals)
}

const ZEROS = '0'.repeat(40)

function itemsOf({ data }: Fields, read: (fields: Fields) => WireItem): readonly WireItem[] {
  return Array.isArray(data) ? data.map((each) => read(fieldsOf(each))) : [{ kind: 'malformed' }]
}

function readTrade({ symbol: name, trade_id: id, side, price, qty: size, timestamp }: Fields): WireItem {
  return { kind: 'trade', name, id, side: sideOf(side), price, size, ts: microsOfIso(timestamp) }
}

/** Older recordings have no time in a ticker. */
function readTicker(fields: Fields): WireItem {
  const { symbol: name, bid, bid_qty: bidSize, ask, ask_qty: askSize, last, volume, timestamp } = fields
  const update = { bid, bidSize, ask, askSize, last, volume24h: volume }
  return { kind: 'quote', name, update, ts: timestamp === undefined ? 'none' : microsOfIso(timestamp) }
}

function readAnswer({ success, result, symbol, error }: Fields): WireItem {
  if (success === true) return { kind: 'taken', name: fieldsOf(result)['symbol'] }
  if (error === 'Already subscribed') return { kind: 'taken', name: symbol }
  return { kind: 'refused', words: textOf(error), name: symbol ?? listOf(fieldsOf(result)['symbol'])[0] }
}
