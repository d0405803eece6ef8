import type { ExchangeWire, WireItem } from '../feed/exchange-wire.ts'
import { parseJson } from '../feed/text.ts'
import { type Fields, fieldsOf, listOf, microsOfIso, sideOf, textOf } from '../feed/wire-fields.ts'

/** The last 50 trades come with each subscribe: what was missed meanwhile is among them in most markets. */
const CHANNELS = {
  trade: { channel: 'trade', snapshot: true },
  quote: { channel: 'ticker', event_trigger: 'bbo' },
} as const

/**
 * Kraken's spot WebSocket, version 2. Each market is answered by itself. Ids of trades rise, but nobody promises that none is left out.
 * Format: https://docs.kraken.com/exchange/api-reference/spot-websocket-v2/trade
 */
export const krakenWire: ExchangeWire = {
  exchange: 'kraken',
  nameOf: (symbol) => symbol.replace('-', '/'),
  mostNames: 100,
  framesPerSecond: 10,
  ping: { frame: JSON.stringify({ method: 'ping' }), everyMs: 20_000 },
  ask: (method, names, channels, request) =>
    channels.flatMap((channel) =>
      channel === 'candle'
        ? []
        : [JSON.stringify({ method, params: { ...CHANNELS[channel], symbol: names }, req_id: request })],
    ),
  read(text) {
    const frame = fieldsOf(parseJson(text))
    const { channel, method } = frame
    if (channel === 'heartbeat' || method === 'pong') return [{ kind: 'heartbeat' }]
    if (channel === 'trade') return itemsOf(frame, readTrade)
    if (channel === 'ticker') return itemsOf(frame, readTicker)
    if (method === 'subscribe') return [readAnswer(frame)]
    return [{ kind: typeof channel === 'string' || typeof method === 'string' ? 'neutral' : 'malformed' }]
  },
}

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
  return { kind: 'refused', words: textOf(error), name: symbol ?? listOf(fieldsOf(result)['symbol'])[0] }
}
