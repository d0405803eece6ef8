import { readLevels } from '../feed/book-wire.ts'
import type { ExchangeWire, WireItem } from '../feed/exchange-wire.ts'
import { parseJson } from '../feed/text.ts'
import { readNumber } from '../feed/values.ts'
import { type Fields, fieldsOf, namesOf, sideOfMaker, textOf } from '../feed/wire-fields.ts'

const STREAMS = { trade: '@trade', quote: '@bookTicker', book: '@depth@100ms' } as const

/** The digits after the microseconds of a time in nanoseconds. */
const NANO_DIGITS = 3

/** The code of a request too many. */
const TOO_OFTEN = -1003

/** A time in nanoseconds: in quotes its digits stay as they are, at a fraction of what a parser costs that is asked about each number. */
const NANOS = /"E":\s*(\d{17,19})/

/** What a ping is numbered, so that its answer is told from those to requests. */
const PING = 'ping'

/** What Gemini calls the market of a symbol. */
export function nameOf(symbol: string): string {
  return symbol.replace('-', '').toLowerCase()
}

/**
 * Gemini's WebSocket, version 3. Frames have no name: their fields tell them apart. The answer to a request may come after the first data, and one market that it
 * does not have costs the whole request. The first frame of a book is the whole of it, which nothing says: it begins and ends with the same number.
 * Format: https://developer.gemini.com/websocket/streams
 */
export function createGeminiWire(): ExchangeWire {
  /** The markets whose book is asked for, and has not come yet. */
  const fresh = new Set<unknown>()

  const readBook = ({ s: name, U, u, b, a, E }: Fields): WireItem => {
    const [first, last] = [readNumber(U), readNumber(u)]
    const snapshot = first !== undefined && first === last && fresh.delete(name)
    const levels = { bids: readLevels(b), asks: readLevels(a) }
    const place = last === undefined ? undefined : { first, last }
    return { kind: 'book', name, snapshot, ...levels, place, ts: microsOfNanos(E) }
  }

  return {
    exchange: 'gemini',
    nameOf,
    mostNames: 50,
    framesPerSecond: 10,
    refusesWhole: true,
    ping: { frame: JSON.stringify({ id: PING, method: 'ping' }), everyMs: 20_000 },
    books: { sequence: 'overlaps', isUnsorted: true },
    ask(method, names, channels, request) {
      if (channels.includes('book'))
        for (const name of names) method === 'subscribe' ? fresh.add(name) : fresh.delete(name)
      const streams = namesOf(STREAMS, channels)
      const params = names.flatMap((name) => streams.map((stream) => name + stream))
      return [JSON.stringify({ id: String(request), method, params })]
    },
    opened: () => fresh.clear(),
    read(text) {
      const frame = fieldsOf(parseJson(text.replace(NANOS, '"E":"$1"')))
      if ('t' in frame && 'm' in frame) return [readTrade(frame)]
      if ('B' in frame) return [readBest(frame)]
      if ('status' in frame) return [readAnswer(frame)]
      if ('U' in frame) return [readBook(frame)]
      return [{ kind: 'lastUpdateId' in frame ? 'neutral' : 'malformed' }]
    },
  }
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
  const { code, msg } = fieldsOf(error)
  return { kind: 'refused', request, words: code === TOO_OFTEN ? `rate limit: ${textOf(msg)}` : textOf(msg) }
}

/** Nanoseconds are beyond what a double holds: their digits stand for them. */
function microsOfNanos(value: unknown): number | undefined {
  return typeof value === 'string' && /^\d{4,19}$/.test(value)
    ? Number(value.slice(0, -NANO_DIGITS))
    : undefined
}
