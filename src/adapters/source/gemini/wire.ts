import type { ExchangeWire, WireItem } from '../feed/exchange-wire.ts'
import { parseJson } from '../feed/text.ts'
import { type Fields, fieldsOf, namesOf, sideOfMaker, textOf } from '../feed/wire-fields.ts'

const STREAMS = { trade: '@trade', quote: '@bookTicker' } as const

/** The digits after the microseconds of a time in nanoseconds. */
const NANO_DIGITS = 3

/** What a ping is numbered, so that its answer is told from those to requests. */
const PING = 'ping'

/**
 * Gemini's WebSocket, version 3. Frames have no name: their fields tell them apart. The answer to a request may come after the first data, and one market that it
 * does not have costs the whole request. Format: https://developer.gemini.com/websocket/streams
 */
export const geminiWire: ExchangeWire = {
  exchange: 'gemini',
  nameOf: (symbol) => symbol.replace('-', '').toLowerCase(),
  mostNames: 50,
  framesPerSecond: 10,
  refusesWhole: true,
  ping: { frame: JSON.stringify({ id: PING, method: 'ping' }), everyMs: 20_000 },
  ask(method, names, channels, request) {
    const streams = namesOf(STREAMS, channels)
    const params = names.flatMap((name) => streams.map((stream) => name + stream))
    return [JSON.stringify({ id: String(request), method, params })]
  },
  read(text) {
    const frame = fieldsOf(parseJson(text))
    if ('t' in frame && 'm' in frame) return [readTrade(frame)]
    if ('B' in frame) return [readBest(frame)]
    if ('status' in frame) return [readAnswer(frame)]
    return [{ kind: 'U' in frame || 'lastUpdateId' in frame ? 'neutral' : 'malformed' }]
  },
}

function readTrade({ s: name, t: id, p: price, q: size, m, E }: Fields): WireItem {
  return { kind: 'trade', name, id, side: sideOfMaker(m), price, size, ts: microsOfNanos(E) }
}

function readBest({ s: name, b: bid, B: bidSize, a: ask, A: askSize, u, E }: Fields): WireItem {
  const sequence = typeof u === 'number' ? u : undefined
  return { kind: 'quote', name, update: { bid, bidSize, ask, askSize }, ts: microsOfNanos(E), sequence }
}

function readAnswer({ id: request, status, error }: Fields): WireItem {
  if (request === PING) return { kind: 'heartbeat' }
  if (status === 200) return { kind: 'taken', request }
  return { kind: 'refused', request, words: textOf(fieldsOf(error)['msg']) }
}

/** Nanoseconds are beyond what a double holds: their digits stand for them. */
function microsOfNanos(value: unknown): number | undefined {
  return typeof value === 'string' && /^\d{4,19}$/.test(value)
    ? Number(value.slice(0, -NANO_DIGITS))
    : undefined
}
