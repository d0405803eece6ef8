import { readLevels, type WireBook } from '../feed/book-wire.ts'
import type { ExchangeWire, WireItem } from '../feed/exchange-wire.ts'
import { frameForm, keptText } from '../feed/frame-form.ts'
import { parseJson } from '../feed/text.ts'
import { readCount, readNumber } from '../feed/values.ts'
import {
  bestOfLevels,
  type Fields,
  fieldsOf,
  listOf,
  microsOfMillis,
  namesOf,
  sideOf,
  textOf,
} from '../feed/wire-fields.ts'

const CHANNELS = { trade: 'trades', quote: 'bbo-tbt', book: 'books' } as const

const TRADE = frameForm(
  '{"arg":{"channel":"trades","instId":"<?name>"},"data":[{"instId":"<name>","tradeId":"<name>","px":"<decimal>","sz":"<decimal>","side":"<name>","ts":"<decimal>","count":"<decimal>","source":"<?name>"<?seqId>}]}',
  { seqId: '(?:,"seqId":(?:0|[1-9]\\d{0,18}))?' },
)

/** How many levels the service tells of. */
const DEPTH = 400
/** It has announced that the WebSocket will send no snapshots any more. */
const SNAPSHOT_MS = 5_000

/**
 * OKX's public WebSocket, version 5. A trade is the fills of one taker's order at one price: its id is the last fill's, and `count` says how many
 * there were. Format: https://www.okx.com/docs-v5/en
 */
export const okxWire: ExchangeWire = {
  exchange: 'okx',
  nameOf: (symbol) => symbol,
  // 64 kB of arguments, and 480 requests an hour.
  mostNames: 200,
  framesPerSecond: 3,
  idsRise: true,
  // Its checksums are 0 since June 2026.
  books: {
    sequence: 'links',
    kept: () => DEPTH,
    rest: {
      path: (name) => `/api/v5/market/books?instId=${encodeURIComponent(name)}&sz=${DEPTH}&source=0`,
      parameter: 'instId',
      apartMs: () => 250,
      read: (name, body) => readBook(name, 'snapshot', fieldsOf(listOf(fieldsOf(body)['data'])[0])),
      afterMs: SNAPSHOT_MS,
    },
  },
  // Without traffic the service ends a connection after 30 s.
  ping: { frame: 'ping', everyMs: 15_000 },
  ask(op, names, channels) {
    const asked = namesOf(CHANNELS, channels)
    const args = names.flatMap((instId) => asked.map((channel) => ({ channel, instId })))
    return [JSON.stringify({ op, args })]
  },
  read(text) {
    if (text === 'pong') return [{ kind: 'heartbeat' }]
    const [, name, id = '', px, sz, side, ts, count] = TRADE(text) ?? []
    if (name !== undefined)
      return [readTrade({ instId: name, tradeId: keptText(id), px, sz, side, ts, count })]
    const frame = fieldsOf(parseJson(text))
    const { event, data, arg } = frame
    const { channel, instId } = fieldsOf(arg)
    if (event === 'error') return [readError(frame)]
    if (event === 'notice') return [{ kind: 'ended', words: textOf(frame['msg']) }]
    if (event === 'subscribe') return [{ kind: 'taken', name: instId }]
    if (event !== undefined) return [{ kind: typeof event === 'string' ? 'neutral' : 'malformed' }]
    if (!Array.isArray(data) || typeof channel !== 'string') return [{ kind: 'malformed' }]
    if (channel === CHANNELS.trade) return data.map((each) => readTrade(fieldsOf(each)))
    if (channel === CHANNELS.quote) return data.map((each) => readBest(instId, fieldsOf(each)))
    if (channel === CHANNELS.book) return readBooks(instId, frame['action'], data)
    return [{ kind: 'neutral' }]
  },
}

/** It repeats a request that it cannot read. */
const UNREADABLE_REQUEST = '60012'

function readError({ code, msg }: Fields): WireItem {
  return {
    ...{ kind: 'refused', words: textOf(msg) },
    ...(code === UNREADABLE_REQUEST && { isOfRequest: true }),
  }
}

function readBooks(name: unknown, action: unknown, data: readonly unknown[]): readonly WireItem[] {
  if (action !== 'snapshot' && action !== 'update') return [{ kind: 'malformed' }]
  return data.map((each) => readBook(name, action, fieldsOf(each)))
}

function readBook(name: unknown, action: 'snapshot' | 'update', fields: Fields): WireBook {
  const { bids, asks, ts, seqId, prevSeqId } = fields
  const [last, previous] = [readNumber(seqId), readNumber(prevSeqId)]
  return {
    ...{ kind: 'book', name, snapshot: action === 'snapshot', ts: microsOfMillis(ts) },
    ...{
      bids: readLevels(bids),
      asks: readLevels(asks),
      place: last === undefined ? undefined : { last, previous },
    },
  }
}

function readTrade({ instId: name, tradeId: id, px: price, sz: size, side, ts, count }: Fields): WireItem {
  const folded = readCount(count) || 1
  return { kind: 'trade', name, id, side: sideOf(side), price, size, ts: microsOfMillis(ts), folded }
}

function readBest(name: unknown, { bids, asks, ts }: Fields): WireItem {
  return { kind: 'quote', name, update: bestOfLevels(bids, asks), ts: microsOfMillis(ts) }
}
