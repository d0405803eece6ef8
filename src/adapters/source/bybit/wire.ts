import { depthOf, readLevels } from '../feed/book-wire.ts'
import type { ExchangeWire, WireItem } from '../feed/exchange-wire.ts'
import { frameForm, keptText } from '../feed/frame-form.ts'
import { parseJson } from '../feed/text.ts'
import { readNumber } from '../feed/values.ts'
import {
  bestOfLevels,
  type Fields,
  fieldsOf,
  microsOfMillis,
  namesOf,
  sideOf,
  textOf,
} from '../feed/wire-fields.ts'

const TOPICS = { trade: 'publicTrade.', quote: 'orderbook.1.', book: 'orderbook.' } as const

/** A frame with one trade; those with several go to the parser. */
const TRADE = frameForm(
  '{"topic":"publicTrade.<?name>","ts":<?whole>,"type":"<?name>","data":[{"i":"<name>","T":<whole>,"p":"<decimal>","v":"<decimal>","S":"<name>","seq":<?whole>,"s":"<name>","BT":<?flag>,"RPI":<?flag>}]}',
)

/** The number of the first frame after a restart of the service: it has all levels, whatever it is called. */
const RESTARTED = 1

/** A depth of 1 comes as quotes. */
const DEPTHS = [50, 200, 1_000]

/**
 * Bybit's public spot WebSocket, version 5. Ids of trades are whole numbers beyond 2^53; in recordings they rise by one, but nobody promises it.
 * Format: https://bybit-exchange.github.io/docs/v5/websocket/public/trade
 */
export const bybitWire: ExchangeWire = {
  exchange: 'bybit',
  nameOf: (symbol) => symbol.replace('-', ''),
  // Ten topics a request, three a market.
  mostNames: 3,
  framesPerSecond: 20,
  refusesWhole: true,
  ping: { frame: JSON.stringify({ op: 'ping' }), everyMs: 20_000 },
  books: { sequence: 'steps', kept: (depth) => depthOf(DEPTHS, depth) },
  ask(op, names, channels, request, depth) {
    const topics = namesOf(TOPICS, channels).map((topic) =>
      topic === TOPICS.book ? `${topic}${depthOf(DEPTHS, depth)}.` : topic,
    )
    const args = names.flatMap((name) => topics.map((topic) => topic + name))
    return [JSON.stringify({ req_id: String(request), op, args })]
  },
  read(text) {
    const [, i, T, p, v, S, s] = TRADE(text) ?? []
    if (i !== undefined) return [readTrade({ i: keptText(i), T, p, v, S, s })]
    const frame = fieldsOf(parseJson(text))
    const { topic, op, data, success, req_id: request } = frame
    if (typeof topic === 'string') return readTopic(topic, frame, data)
    if (op === 'ping' || op === 'pong') return [{ kind: 'heartbeat' }]
    if (op === 'subscribe')
      return [
        success === true
          ? { kind: 'taken', request }
          : { kind: 'refused', request, words: textOf(frame['ret_msg']) },
      ]
    return [{ kind: typeof op === 'string' ? 'neutral' : 'malformed' }]
  },
}

function readTopic(topic: string, { ts, cts, type }: Fields, data: unknown): readonly WireItem[] {
  if (topic.startsWith(TOPICS.trade))
    return Array.isArray(data) ? data.map((each) => readTrade(fieldsOf(each))) : [{ kind: 'malformed' }]
  if (!topic.startsWith(TOPICS.book)) return [{ kind: 'neutral' }]
  const { s: name, b, a, u } = fieldsOf(data)
  if (!topic.startsWith(TOPICS.quote)) {
    if (type !== 'snapshot' && type !== 'delta') return [{ kind: 'malformed' }]
    const last = readNumber(u)
    const place = last === undefined ? undefined : { last }
    const levels = { bids: readLevels(b), asks: readLevels(a) }
    const snapshot = type === 'snapshot' || last === RESTARTED
    return [{ kind: 'book', name, snapshot, ...levels, place, ts: microsOfMillis(cts ?? ts) }]
  }
  return [{ kind: 'quote', name, update: bestOfLevels(b, a), ts: microsOfMillis(cts ?? ts) }]
}

function readTrade({ i: id, s: name, S: side, p: price, v: size, T }: Fields): WireItem {
  return { kind: 'trade', name, id, side: sideOf(side), price, size, ts: microsOfMillis(T) }
}
