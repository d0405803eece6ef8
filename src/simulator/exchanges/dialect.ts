import type { Side } from '../../domain/events.ts'

/** What a client may follow of a market. */
export type ToldChannel = 'trade' | 'quote' | 'book' | 'heartbeat'

export interface Topic {
  readonly channel: ToldChannel
  /** What the exchange calls the market. */
  readonly name: string
  /** So many levels of each side of a book; all that there are where it is left out. */
  readonly depth?: number
}

/** What a client asks for. */
interface Asked {
  readonly op: 'subscribe' | 'unsubscribe'
  readonly topics: readonly Topic[]
}

/** A recorded frame that tells of a market. */
export interface RecordedFrame {
  /** Whoever follows it gets the frame. Its depth is left out where frames do not say it. */
  readonly topic: Topic
  /** It has all levels of a book. */
  readonly isWhole?: boolean
  /** What is sent in its place, where it names what belonged to the recorded connection. */
  readonly text?: string
}

/** Reads the frames of one recorded connection, in order; undefined where a frame tells of no market, as answers do. */
type RecordedFrameReader = (frame: unknown, text: string) => RecordedFrame | undefined

/** A trade as an exchange tells it. Times are microseconds. */
export interface ToldTrade {
  readonly symbol: string
  readonly id: string
  readonly side: Side
  readonly price: number
  readonly size: number
  readonly ts: number
}

/** The best prices of a market: `null` is a side where nobody offers. */
export interface ToldQuote {
  readonly symbol: string
  readonly ts: number
  readonly ticker: {
    readonly bid?: number | null
    readonly bidSize?: number
    readonly ask?: number | null
    readonly askSize?: number
    readonly last?: number
    readonly volume24h?: unknown
  }
}

export type ToldLine = ToldTrade | ToldQuote

export type ToldLevel = readonly [price: number, size: number]

export interface ToldLevels {
  readonly bids: readonly ToldLevel[]
  readonly asks: readonly ToldLevel[]
}

/** The book of a market, or a change of it. */
export interface ToldBook {
  readonly symbol: string
  /** One more than that of the change before. */
  readonly number: number
  readonly ts: number
  /** All levels, or those that changed; with a size of 0 where one is gone. The best first. */
  readonly levels: ToldLevels
  /** The book after it. */
  readonly whole: ToldLevels
  /** Digits after the dot. */
  readonly decimals: { readonly price: number; readonly size: number }
  /** So many levels of each side were asked for, where the exchange lets clients say. */
  readonly depth?: number | undefined
}

/** How an exchange tells of books. */
interface BookDialect {
  /** Left out where the WebSocket sends none. */
  readonly snapshot?: (book: ToldBook) => readonly object[]
  readonly change: (book: ToldBook) => readonly object[]
  /** The answer of REST to a question for the book of a market; undefined where it is another question. */
  readonly rest?: {
    readonly asks: (url: URL) => string | undefined
    readonly answer: (book: ToldBook) => object
  }
}

/** A trade that the market had before. */
export interface PastTrade extends Omit<ToldTrade, 'symbol' | 'id'> {
  readonly id: number
}

/** What was traded in a minute. */
export interface PastCandle {
  /** Seconds since the epoch. */
  readonly start: number
  readonly open: number
  readonly high: number
  readonly low: number
  readonly close: number
  readonly volume: number
  /** 0 where nothing was traded: its prices are the last one before. */
  readonly trades: number
}

/** How an exchange answers by REST for the candles of a minute. */
interface CandleDialect {
  /** The market that is asked for; undefined where it is another question. */
  readonly asks: (url: URL) => string | undefined
  /** `candles` are all that there are, the oldest first; the last minute runs still. */
  readonly answer: (url: URL, candles: readonly PastCandle[]) => unknown
}

/** How an exchange answers by REST for the trades of the past. */
interface PastDialect {
  /** What REST calls a market, where it has another name for it. */
  readonly nameOf?: (symbol: string) => string
  /** The market that is asked for; undefined where it is another question. */
  readonly asks: (url: URL) => string | undefined
  readonly answer: (url: URL, trades: readonly PastTrade[], nowMs: number) => unknown
}

/** A market as an exchange lists it. */
export interface ToldListing {
  readonly symbol: string
  readonly base: string
  readonly quote: string
  /** Digits after the dot of prices and sizes. */
  readonly decimals: { readonly price: number; readonly size: number }
}

/** How an exchange answers by REST for what it trades. */
interface ListingDialect {
  readonly path: string
  readonly answer: (markets: readonly ToldListing[]) => object
}

/** What a connection may ask for at most. Beyond it the exchange ends the connection. */
interface Limits {
  readonly framesPerSecond?: number
  readonly topics?: number
}

/** How one exchange speaks: written by its documentation, not by our reader of it. */
export interface Dialect {
  readonly exchange: string
  readonly nameOf: (symbol: string) => string
  /** Its times are multiples of so many microseconds. */
  readonly timeStep: number
  readonly limits: Limits
  readonly frame: (line: ToldLine) => object
  readonly asks: (frame: unknown) => Asked | undefined
  /** The answers to what `asks` reads: it takes the markets but for `unknown`. */
  readonly answer: (frame: unknown, unknown: readonly string[]) => readonly object[]
  /** One market that it does not have costs the whole request. */
  readonly refusesWhole?: true
  /** The answer to what asks for no market, such as a ping. */
  readonly reply?: (frame: unknown) => object | string | undefined
  /** What a new connection is told first. */
  readonly greeting?: object
  readonly books: BookDialect
  /** What a new subscriber of trades gets of the last ones, the newest first. */
  readonly repeated?: { readonly count: number; readonly frames: (newest: readonly ToldTrade[]) => object[] }
  /** What the channel `heartbeat` says of a market once a second. */
  readonly heartbeat?: (symbol: string, lastId: string, ts: number) => object
  readonly past: PastDialect
  readonly candles: CandleDialect
  /** Whom recorded frames are for. */
  readonly recorded: () => RecordedFrameReader
  readonly listing?: ListingDialect
}

/** Whether a line is a quote. */
export function isQuote(line: ToldLine): line is ToldQuote {
  return 'ticker' in line
}

/** A number as exchanges write it: without an exponent. */
export function decimal(value: number): string {
  const text = String(value)
  if (!text.includes('e')) return text
  return value.toFixed(20).replace(/\.?0+$/, '')
}

/** The smallest step with so many digits after the dot, as exchanges write it. */
export function stepOf(decimals: number): string {
  return (10 ** -decimals).toFixed(decimals)
}

/** A price or size as text; zeros where there is none. */
export function decimalOrZero(value: number | null | undefined): string {
  return typeof value === 'number' ? decimal(value) : '0.00000000'
}

/** An id as a number, where it is one. */
export function numeric(id: string): number | string {
  return /^\d+$/.test(id) ? Number(id) : id
}

/** `[price, size]` of levels, as texts. */
export function textRows(levels: readonly ToldLevel[]): string[][] {
  return levels.map(([price, size]) => [decimal(price), decimal(size)])
}

/** The best level as a list, as exchanges write best prices in the form of a book; an empty one where nobody offers. */
export function bestRows(price: number | null | undefined, size = 1.5): string[][] {
  return typeof price === 'number' ? [[decimal(price), decimal(size)]] : []
}

export function newestFirst<T>(rows: readonly T[]): readonly T[] {
  return rows.toReversed()
}

/** The prices and the volume of a candle as texts, in the usual order. */
export function candleTexts({ open, high, low, close, volume }: PastCandle): readonly string[] {
  return [open, high, low, close, volume].map(decimal)
}

/** A symbol without its dash. */
export function joined(symbol: string): string {
  return symbol.replace('-', '')
}

/** Node has it, TypeScript does not know it yet: digits that stand in JSON as they are. */
export const { rawJSON } = JSON as unknown as { readonly rawJSON: (text: string) => object }
