import type { ExchangeWire, WireItem } from '../feed/exchange-wire.ts'
import { parseJson } from '../feed/text.ts'
import { bestOfLevels, type Fields, fieldsOf, microsOfEpoch, sideOf, textOf } from '../feed/wire-fields.ts'

const TOPICS = { trade: 'publicTrade.', quote: 'orderbook.1.' } as const

/**
 * Bybit's public spot WebSocket, version 5. Ids of trades are whole numbers beyond 2^53; in recordings they rise by one, but nobody promises it.
 * Format: https://bybit-exchange.github.io/docs/v5/websocket/public/trade
 */
export const bybitWire: ExchangeWire = {
  exchange: 'bybit',
  nameOf: (symbol) => symbol.replace('-', ''),
  // Ten topics a request, two a market.
  mostNames: 5,
  framesPerSecond: 20,
  refusesWhole: true,
  ping: { frame: JSON.stringify({ op: 'ping' }), everyMs: 20_000 },
  ask(op, names, channels, request) {
    const topics = channels.flatMap((channel) => (channel === 'candle' ? [] : [TOPICS[channel]]))
    const args = names.flatMap((name) => topics.map((topic) => topic + name))
    return [JSON.stringify({ req_id: String(request), op, args })]
  },
  read(text) {
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

function readTopic(topic: string, { ts, cts }: Fields, data: unknown): readonly WireItem[] {
  if (topic.startsWith(TOPICS.trade))
    return Array.isArray(data) ? data.map((each) => readTrade(fieldsOf(each))) : [{ kind: 'malformed' }]
  if (!topic.startsWith(TOPICS.quote)) return [{ kind: 'neutral' }]
  const { s: name, b, a } = fieldsOf(data)
  return [{ kind: 'quote', name, update: bestOfLevels(b, a), ts: microsOfEpoch(cts ?? ts) }]
}

function readTrade({ i: id, s: name, S: side, p: price, v: size, T }: Fields): WireItem {
  return { kind: 'trade', name, id, side: sideOf(side), price, size, ts: microsOfEpoch(T) }
}
