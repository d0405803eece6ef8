import { depthOf, readLevels, type WireBook } from '../feed/book-wire.ts'
import type { ExchangeWire, WireItem } from '../feed/exchange-wire.ts'
import { frameForm, keptText } from '../feed/frame-form.ts'
import { parseJson } from '../feed/text.ts'
import { readNumber } from '../feed/values.ts'
import {
  type Fields,
  fieldsOf,
  listOf,
  microsOfEpoch,
  namesOf,
  sideOfMaker,
  textOf,
} from '../feed/wire-fields.ts'

const STREAMS = { trade: '@trade', quote: '@bookTicker', book: '@depth@100ms' } as const

const TRADE = frameForm(
  '{"stream":"<?name>","data":{"e":"trade","E":<?whole>,"s":"<name>","t":<whole>,"p":"<decimal>","q":"<decimal>","T":<whole>,"m":<flag>,"M":<?flag>}}',
)
const QUOTE = frameForm(
  '{"stream":"<?name>","data":{"u":<whole>,"s":"<name>","b":"<decimal>","B":"<decimal>","a":"<decimal>","A":"<decimal>"}}',
)

/** How many levels a snapshot by REST has: beyond them a level is not known until it changes. */
const SNAPSHOTS = [1_000, 5_000]

/** The number of the question that is asked to hear that the service is there. */
const PING = 0

/**
 * Binance's spot streams, bare or wrapped as `{stream, data}`. The service takes a market that it does not have, and stays silent about it.
 * Format: https://github.com/binance/binance-spot-api-docs/blob/master/web-socket-streams.md
 */
export const binanceWire: ExchangeWire = {
  exchange: 'binance',
  nameOf: (symbol) => symbol.replace('-', ''),
  // At most 1,024 streams a connection, and five messages a second, pings among them.
  mostNames: 200,
  books: {
    sequence: 'ranges',
    rest: {
      path: (name, depth) =>
        `/api/v3/depth?symbol=${encodeURIComponent(name)}&limit=${depthOf(SNAPSHOTS, depth * 5)}`,
      parameter: 'symbol',
      // 1,000 levels weigh 50 of 6,000 a minute, 5,000 weigh 250: so half of that is used.
      apartMs: (depth) => depthOf(SNAPSHOTS, depth * 5),
      read: readSnapshot,
      afterMs: 0,
    },
  },
  framesPerSecond: 4,
  idsRise: true,
  refusesWhole: true,
  ping: { frame: JSON.stringify({ method: 'LIST_SUBSCRIPTIONS', id: PING }), everyMs: 20_000 },
  ask(operation, names, channels, request) {
    const streams = namesOf(STREAMS, channels)
    const params = names.flatMap((name) => streams.map((stream) => name.toLowerCase() + stream))
    return [JSON.stringify({ method: operation.toUpperCase(), params, id: request })]
  },
  read(text) {
    const [, s, t = '', p, q, T, m] = TRADE(text) ?? []
    if (s !== undefined) return [readTrade({ s, t: keptText(t), p, q, T, m: m === 'true' })]
    const [, u, name, b, B, a, A] = QUOTE(text) ?? []
    if (u !== undefined) return [readQuote({ u: Number(u), s: name, b, B, a, A })]
    const frame = fieldsOf(parseJson(text))
    return [readItem('data' in frame ? fieldsOf(frame['data']) : frame)]
  },
}

function readUpdate({ s: name, U, u, b, a, E }: Fields): WireBook {
  const [first, last] = [readNumber(U), readNumber(u)]
  return {
    ...{ kind: 'book', name, snapshot: false, bids: readLevels(b), asks: readLevels(a) },
    ...{ place: last === undefined ? undefined : { first, last }, ts: microsOfEpoch(E) },
  }
}

function readSnapshot(name: string, body: unknown): WireBook {
  const { lastUpdateId, bids, asks } = fieldsOf(body)
  const isCut = [bids, asks].some((levels) => SNAPSHOTS.includes(listOf(levels).length))
  const last = readNumber(lastUpdateId)
  return {
    ...{ kind: 'book', name, snapshot: true, bids: readLevels(bids), asks: readLevels(asks) },
    ...{ place: last === undefined ? undefined : { last }, ts: undefined, isCut },
  }
}

function readTrade({ s: name, t: id, p: price, q: size, T, m }: Fields): WireItem {
  return { kind: 'trade', name, id, side: sideOfMaker(m), price, size, ts: microsOfEpoch(T) }
}

function readQuote({ s: name, u, b: bid, B: bidSize, a: ask, A: askSize }: Fields): WireItem {
  const sequence = typeof u === 'number' ? u : undefined
  return { kind: 'quote', name, update: { bid, bidSize, ask, askSize }, ts: 'none', sequence }
}

function readItem(frame: Fields): WireItem {
  const { e: event, id } = frame
  if (event === 'trade') return readTrade(frame)
  if (event === 'depthUpdate') return readUpdate(frame)
  if (event === 'serverShutdown') return { kind: 'ended', words: 'serverShutdown' }
  if (event !== undefined) return { kind: typeof event === 'string' ? 'neutral' : 'malformed' }
  if ('u' in frame && 'b' in frame) return readQuote(frame)
  const error = 'code' in frame ? frame : fieldsOf(frame['error'])
  if ('msg' in error) return { kind: 'refused', request: id, words: textOf(error['msg']) }
  if (!('result' in frame)) return { kind: 'malformed' }
  return id === PING ? { kind: 'heartbeat' } : { kind: 'taken', request: id }
}
