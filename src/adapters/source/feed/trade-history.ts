import { delay } from '../../../async/timers.ts'
import type { Trade } from '../../../domain/events.ts'
import { TapelineError } from '../../../errors.ts'
import type { HistoryPage, Source } from '../../../ports/source.ts'
import { type CandleWire, readCandles } from './candle-history.ts'
import { canonicalMarket } from './canonical-market.ts'
import { isPlausible, MAX_SKEW_MS } from './event-time.ts'
import { exactTexts } from './exact-numbers.ts'
import type { WireTrade } from './exchange-wire.ts'
import type { AskRest, LeftOut, TimeRange } from './past.ts'
import { ASKED_TOO_OFTEN, callRest, restUrl, retryAfterMs } from './rest-call.ts'
import type { Fault } from './tally.ts'
import { parseExact, readWireId } from './text.ts'
import { readPrice } from './values.ts'
import { refusalByStatus, refusalInWords, shownWords, wordsOfBody } from './words.ts'

/** A past trade as an answer has it: what its fields hold is checked by who reads it. */
export interface HistoryTrade extends Omit<WireTrade, 'kind' | 'name' | 'folded'> {
  /** What the service sent. */
  readonly row: unknown
}

export interface HistoryAnswer {
  /** In the order of their times; those outside of the range, and those that an answer before had, are left out later. */
  readonly trades: readonly HistoryTrade[]
  /** As of `HistoryPage`; left out where the service reaches back as far as was asked for. */
  readonly since?: number
}

/** How one exchange gives the trades of the past, and its candles: all that a source of its own has to say of it. */
export interface HistoryWire {
  readonly exchange: string
  /** The service takes no more questions a second. */
  readonly requestsPerSecond: number
  readonly headers?: Readonly<Record<string, string>>
  /** How exact its times are, in microseconds: a trade may have happened so much later than it says. */
  readonly precision: number
  /** Asks for what a market had, answer by answer, the oldest first. `now`: microseconds. */
  read(symbol: string, range: TimeRange, ask: AskRest, now: number): AsyncIterable<HistoryAnswer>
  /** Left out where it gives no candles. They share its rate. */
  readonly candles?: CandleWire
}

interface HistoryOptions {
  readonly rest: URL
  /** How long one call may take. */
  readonly timeoutMs: number
  readonly redact: (text: string) => string
  /** Microseconds since the epoch. */
  readonly now: () => number
  readonly leftOut: LeftOut
}

/** What such a service says of a market that it does not have. */
const NOT_THERE: ReadonlySet<number> = new Set([400, 404])

/** The past trades and candles of an exchange, as `Source.history` gives them. */
export function createTradeHistory(
  wire: HistoryWire,
  { rest, timeoutMs, redact, now, leftOut }: HistoryOptions,
): NonNullable<Source['history']> {
  /** When the next question may be asked, and when the service wants none before. */
  let nextAt = 0
  let pausedUntil = 0

  /** Waits for the turn of a question: all of this source share what the service allows. */
  const turn = async (signal: AbortSignal): Promise<void> => {
    if (pausedUntil > performance.now())
      throw failure('SOURCE_RATE_LIMITED', 'waiting for the rate limit to end')
    const at = Math.max(performance.now(), nextAt)
    nextAt = at + 1_000 / wire.requestsPerSecond
    const wait = at - performance.now()
    if (wait > 0) await delay(wait, signal)
  }

  const ask = async (
    path: string,
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<unknown> => {
    signal.throwIfAborted()
    await turn(signal)
    const { headers } = wire
    const call = { way: 'history', timeoutMs, ...(headers && { headers }) }
    const { response, text } = await callRest(restUrl(rest, path, query), call, signal)
    const { status } = response
    const words = shownWords(wordsOfBody(text), redact)
    if (ASKED_TOO_OFTEN.has(status)) {
      pausedUntil = performance.now() + retryAfterMs(response.headers)
      throw failure('SOURCE_RATE_LIMITED', `refused with HTTP ${status}${words && `: ${words}`}`)
    }
    if (NOT_THERE.has(status)) throw failure('MARKET_UNKNOWN', words || `HTTP ${status}`)
    if (!response.ok) throw refusalByStatus('history', status, words)
    const value = parseExact(text)
    if (value === undefined) throw failure('SOURCE_UNAVAILABLE', 'the answer is not JSON')
    return value
  }

  async function* pages(symbol: string, range: TimeRange, signal: AbortSignal): AsyncGenerator<HistoryPage> {
    /** The ids of the answer before, which the next one may begin with. */
    let known = new Set<string>()
    const from = range.from - (range.from % wire.precision)
    const asked = { from, to: range.to }
    for await (const { trades, since } of wire.read(
      symbol,
      asked,
      (...given) => ask(...given, signal),
      now(),
    )) {
      const recvTs = now()
      const fresh = trades.filter(({ id }) => !known.has(readWireId(id) ?? ''))
      known = new Set(trades.flatMap(({ id }) => readWireId(id) ?? []))
      const events = fresh.flatMap((told) => {
        const event = tradeOf(wire.exchange, symbol, told, recvTs)
        if (typeof event === 'string') leftOut(told.row, event)
        if (typeof event === 'string' || event.ts < from || event.ts > range.to) return []
        return { channel: 'trade', event } as const
      })
      yield { events, since: Math.max(since ?? range.from, range.from) }
    }
  }

  return (market, range, signal, channel = 'trade') => {
    const { exchange, symbol } = canonicalMarket(market)
    if (exchange !== wire.exchange) return undefined
    if (channel === 'trade') return pages(symbol, range, signal)
    const { candles } = wire
    if (candles === undefined) return undefined
    const rows = (window: TimeRange) => candles.ask(symbol, window, (...given) => ask(...given, signal))
    return readCandles(candles, { exchange, symbol }, range, { ask: rows, now, leftOut })
  }
}

function tradeOf(exchange: string, symbol: string, read: HistoryTrade, recvTs: number): Trade | Fault {
  const [id, price, size] = [readWireId(read.id), readPrice(read.price), readPrice(read.size)]
  const { side, ts } = read
  if (id === undefined || price === undefined || size === undefined || side === undefined) return 'malformed'
  if (ts === undefined) return 'malformed'
  if (!isPlausible(ts, recvTs, MAX_SKEW_MS)) return 'mistimed'
  const texts = exactTexts(read.price, read.size, { price, size })
  return { exchange, symbol, id, side, price, size, ts, recvTs, ...texts }
}

function failure(
  code: 'SOURCE_RATE_LIMITED' | 'SOURCE_UNAVAILABLE' | 'MARKET_UNKNOWN',
  words: string,
): TapelineError {
  return new TapelineError(code, `history: ${words}`)
}

/** What an answer is of which nothing tells where the next one begins. */
export function unreadable(): TapelineError {
  return failure('SOURCE_UNAVAILABLE', 'the answer cannot be read')
}

/** What services say of a market that they do not have where the status tells nothing: Kraken, Bybit and OKX. */
const WORDS_OF_UNKNOWN =
  /unknown asset pair|symbol:? (is )?invalid|(invalid|not supported) symbol|instrument id.* doesn.?t exist/i

/** The rows of an answer. Raises what the service says instead of them. */
export function rowsOf(rows: unknown, words: unknown): readonly unknown[] {
  if (Array.isArray(rows)) return rows
  const said = typeof words === 'string' && words !== '' ? words : 'the answer has no rows'
  throw WORDS_OF_UNKNOWN.test(said) ? failure('MARKET_UNKNOWN', said) : refusalInWords('history', said)
}

interface Consecutive {
  /** One answer has so many ids. */
  readonly size: number
  /** Trades with the ids from `first` on, `size` of them at the most, by rising id. */
  readonly at: (first: number) => Promise<readonly HistoryTrade[]>
}

/** Trades whose ids rise by one: from an id on up to another, until their time has passed the range. */
export async function* readById(
  { to }: TimeRange,
  first: number,
  last: number,
  { size, at }: Consecutive,
): AsyncGenerator<HistoryAnswer> {
  for (let id = first; id <= last; id += size) {
    const trades = await at(id)
    yield { trades }
    if ((trades.at(-1)?.ts ?? 0) > to) return
  }
}
