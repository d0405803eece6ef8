import { binance } from '../../../src/adapters/source/binance/source.ts'
import { bitfinex } from '../../../src/adapters/source/bitfinex/source.ts'
import { bitstamp } from '../../../src/adapters/source/bitstamp/source.ts'
import { bybit } from '../../../src/adapters/source/bybit/source.ts'
import type { SourceKind } from '../../../src/adapters/source/feed/source-kind.ts'
import { gemini } from '../../../src/adapters/source/gemini/source.ts'
import { kraken } from '../../../src/adapters/source/kraken/source.ts'
import { okx } from '../../../src/adapters/source/okx/source.ts'
import { isoMicros } from '../../../src/domain/time.ts'
import type { TickerLine } from '../../contract/source.ts'
import type { SentLine } from './playing.ts'

type Asked = Readonly<Record<string, unknown>>
type Frame = object

/** How one exchange speaks, for a small service of a test: written by its documentation, not by our reader. */
export interface Speaker {
  readonly kind: SourceKind
  readonly idsRise: boolean
  readonly bestOnly: boolean
  /** What it calls a market. */
  readonly name: (symbol: string) => string
  readonly frame: (line: SentLine) => Frame
  /** The names of the markets that a request asks for; undefined for anything else. */
  readonly asks: (asked: Asked) => readonly string[] | undefined
  /** The answers to a request: it takes the markets but for `unknown`. */
  readonly answer: (asked: Asked, unknown: readonly string[]) => readonly Frame[]
  /** Nothing tells that a market is unknown. */
  readonly isSilent?: true
  /** So many requests ask for one market. */
  readonly requests: number
}

const joined = (symbol: string) => symbol.replace('-', '')
const text = (value: number | null | undefined) => (typeof value === 'number' ? String(value) : '0.00000000')
const sizeText = (value: number | null | undefined) => (typeof value === 'number' ? '1.5' : '0.00000000')
const numeric = (id: string) => (/^\d+$/.test(id) ? Number(id) : id)
const millis = (ts: number) => ts / 1_000
const levels = (price: number | null | undefined) =>
  typeof price === 'number' ? [[String(price), '1.5']] : []
const isTicker = (line: SentLine): line is TickerLine => 'ticker' in line

/** Node has it, TypeScript does not know it yet. */
const { rawJSON } = JSON as unknown as { readonly rawJSON: (text: string) => object }

function namesIn(params: unknown): string[] | undefined {
  if (!Array.isArray(params)) return undefined
  return [...new Set(params.map((each) => String(each).split('@')[0] ?? ''))]
}

const BINANCE: Speaker = {
  kind: binance,
  idsRise: true,
  bestOnly: true,
  requests: 1,
  isSilent: true,
  name: joined,
  frame(line) {
    const s = joined(line.symbol)
    if (isTicker(line)) {
      const { bid, ask } = line.ticker
      const u = line.ts / 1_000_000
      return {
        stream: `${s.toLowerCase()}@bookTicker`,
        data: { u, s, b: text(bid), B: sizeText(bid), a: text(ask), A: sizeText(ask) },
      }
    }
    const { id, price, size, side, ts } = line
    const data = {
      e: 'trade',
      E: ts,
      s,
      t: numeric(id),
      p: String(price),
      q: String(size),
      T: ts,
      m: side === 'sell',
      M: true,
    }
    return { stream: `${s.toLowerCase()}@trade`, data }
  },
  asks: ({ method, params }) =>
    method === 'SUBSCRIBE' ? namesIn(params)?.map((name) => name.toUpperCase()) : undefined,
  answer: ({ id }) => [{ result: null, id }],
}

const KRAKEN: Speaker = {
  kind: kraken,
  idsRise: false,
  bestOnly: false,
  requests: 2,
  name: (symbol) => symbol.replace('-', '/'),
  frame(line) {
    const symbol = line.symbol.replace('-', '/')
    const timestamp = isoMicros(line.ts)
    if (isTicker(line)) {
      const { bid, ask, last, volume24h } = line.ticker
      const sides = { bid, bid_qty: bid === null ? 0 : 1, ask, ask_qty: ask === null ? 0 : 1 }
      return {
        channel: 'ticker',
        type: 'update',
        data: [{ symbol, ...sides, last, volume: volume24h, timestamp }],
      }
    }
    const { id, side, price, size } = line
    const trade = { symbol, side, price, qty: size, ord_type: 'limit', trade_id: numeric(id), timestamp }
    return { channel: 'trade', type: 'update', data: [trade] }
  },
  asks: ({ method, params }) =>
    method === 'subscribe' ? (params as { symbol: string[] }).symbol : undefined,
  answer: ({ method, params, req_id }, unknown) =>
    (params as { symbol: string[] }).symbol.map((symbol) =>
      unknown.includes(symbol)
        ? { error: `Currency pair not supported ${symbol}`, method, req_id, success: false, symbol }
        : { method, req_id, result: { channel: 'trade', symbol, snapshot: true }, success: true },
    ),
}

const OKX: Speaker = {
  kind: okx,
  idsRise: true,
  bestOnly: true,
  requests: 1,
  name: (symbol) => symbol,
  frame(line) {
    const { symbol: instId } = line
    const ts = String(millis(line.ts))
    if (isTicker(line)) {
      const [bids, asks] = [levels(line.ticker.bid), levels(line.ticker.ask)]
      return { arg: { channel: 'bbo-tbt', instId }, data: [{ bids, asks, ts, seqId: 1 }] }
    }
    const { id: tradeId, price, size, side } = line
    const data = [{ instId, tradeId, px: String(price), sz: String(size), side, ts, count: '1', source: '0' }]
    return { arg: { channel: 'trades', instId }, data }
  },
  asks: ({ op, args }) =>
    op === 'subscribe' ? [...new Set((args as { instId: string }[]).map(({ instId }) => instId))] : undefined,
  answer: ({ args }, unknown) =>
    (args as { channel: string; instId: string }[]).map((arg) =>
      unknown.includes(arg.instId)
        ? {
            event: 'error',
            code: '60018',
            msg: `Wrong URL or channel:${arg.channel},instId:${arg.instId} doesn't exist. Please use the correct URL, channel and parameters.`,
            connId: 'a1',
          }
        : { event: 'subscribe', arg, connId: 'a1' },
    ),
}

const BYBIT: Speaker = {
  kind: bybit,
  idsRise: false,
  bestOnly: true,
  requests: 1,
  name: joined,
  frame(line) {
    const s = joined(line.symbol)
    const ts = millis(line.ts)
    if (isTicker(line)) {
      const data = { s, b: levels(line.ticker.bid), a: levels(line.ticker.ask), u: 1, seq: 1 }
      return { topic: `orderbook.1.${s}`, ts, type: 'snapshot', data, cts: ts }
    }
    const { id: i, price, size, side } = line
    const S = side === 'buy' ? 'Buy' : 'Sell'
    const data = [{ i, T: ts, p: String(price), v: String(size), S, seq: 1, s, BT: false, RPI: false }]
    return { topic: `publicTrade.${s}`, ts, type: 'snapshot', data }
  },
  asks: ({ op, args }) =>
    op === 'subscribe'
      ? [...new Set((args as string[]).map((topic) => topic.slice(topic.lastIndexOf('.') + 1)))]
      : undefined,
  answer: ({ op, req_id, args }, unknown) => {
    const bad = (args as string[]).find((topic) => unknown.some((name) => topic.endsWith(`.${name}`)))
    return [
      bad === undefined
        ? { success: true, ret_msg: 'subscribe', conn_id: 'c', req_id, op }
        : { success: false, ret_msg: `Invalid symbol :[${bad}]`, conn_id: 'c', req_id, op },
    ]
  },
}

const BITSTAMP: Speaker = {
  kind: bitstamp,
  idsRise: false,
  bestOnly: true,
  requests: 2,
  isSilent: true,
  name: (symbol) => joined(symbol).toLowerCase(),
  frame(line) {
    const market = joined(line.symbol).toLowerCase()
    const times = { timestamp: String(Math.floor(line.ts / 1_000_000)), microtimestamp: String(line.ts) }
    if (isTicker(line)) {
      const data = { ...times, bids: levels(line.ticker.bid), asks: levels(line.ticker.ask) }
      return { event: 'data', channel: `order_book_${market}`, data }
    }
    const { id, price, size, side } = line
    const texts = { id_str: id, amount_str: String(size), price_str: String(price) }
    const data = { ...times, ...texts, id: 1, amount: size, price, type: side === 'buy' ? 0 : 1 }
    return { event: 'trade', channel: `live_trades_${market}`, data }
  },
  asks: ({ event, data }) => {
    const channel = String((data as { channel?: string } | undefined)?.channel)
    return event === 'bts:subscribe' ? [channel.slice(channel.lastIndexOf('_') + 1)] : undefined
  },
  answer: ({ data }) => [
    { event: 'bts:subscription_succeeded', channel: (data as { channel: string }).channel, data: {} },
  ],
}

/** The number of a channel: of trades or of a book. */
const CHAN_IDS = new Map(
  ['tBTCUSD', 'tETHUSD', 'tLTCUSD', 'tXRPUSD'].flatMap((name, at) => [
    [`trades:${name}`, 10 + at],
    [`book:${name}`, 20 + at],
  ]),
)

const BITFINEX: Speaker = {
  kind: bitfinex,
  idsRise: false,
  bestOnly: true,
  requests: 2,
  name: (symbol) => `t${joined(symbol)}`,
  frame(line) {
    const name = `t${joined(line.symbol)}`
    if (isTicker(line)) {
      const { bid, ask } = line.ticker
      const rows = [
        ...(typeof bid === 'number' ? [[bid, 1, 1.5]] : []),
        ...(typeof ask === 'number' ? [[ask, 1, -1.5]] : []),
      ]
      return [CHAN_IDS.get(`book:${name}`), rows]
    }
    const { id, price, size, side, ts } = line
    return [
      CHAN_IDS.get(`trades:${name}`),
      'te',
      [numeric(id), millis(ts), side === 'sell' ? -size : size, price],
    ]
  },
  asks: ({ event, symbol }) => (event === 'subscribe' ? [String(symbol)] : undefined),
  answer: ({ channel, symbol }, unknown) => [
    unknown.includes(String(symbol))
      ? { event: 'error', channel, symbol, code: 10300, msg: 'symbol: invalid' }
      : { event: 'subscribed', channel, chanId: CHAN_IDS.get(`${channel}:${symbol}`), symbol },
  ],
}

const GEMINI: Speaker = {
  kind: gemini,
  idsRise: false,
  bestOnly: true,
  requests: 1,
  name: (symbol) => joined(symbol).toLowerCase(),
  // Its times are nanoseconds, beyond what a double holds: the frame is written as text.
  frame(line) {
    const s = joined(line.symbol).toLowerCase()
    const E = rawJSON(String(BigInt(line.ts) * 1_000n + 789n))
    if (isTicker(line)) {
      const { bid, ask } = line.ticker
      const side = (price: number | null | undefined) => (typeof price === 'number' ? String(price) : '')
      return { u: line.ts / 1_000_000, E, s, b: side(bid), B: sizeText(bid), a: side(ask), A: sizeText(ask) }
    }
    const { id, price, size, side } = line
    return { E, s, t: numeric(id), p: String(price), q: String(size), m: side === 'sell' }
  },
  asks: ({ method, params }) => (method === 'subscribe' ? namesIn(params) : undefined),
  answer: ({ id, params }, unknown) => {
    const bad = (params as string[]).find((stream) => unknown.includes(stream.split('@')[0] ?? ''))
    return [
      bad === undefined
        ? { id, status: 200 }
        : { id, status: 400, error: { code: -1013, msg: `Invalid stream name: ${bad}` } },
    ]
  },
}

export const SPEAKERS: readonly Speaker[] = [BINANCE, BITFINEX, BITSTAMP, BYBIT, GEMINI, KRAKEN, OKX]
