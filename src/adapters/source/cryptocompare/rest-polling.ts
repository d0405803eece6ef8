import { pause } from '../../../async/timers.ts'
import { TapelineError, toTapelineError } from '../../../errors.ts'
import type { Log } from '../../../ports/log.ts'
import { MINUTE_US } from '../feed/candle-history.ts'
import type { Fallback, Outlet } from '../feed/feed-protocol.ts'
import type { FeedChannel } from '../feed/source-kind.ts'
import type { Prices, RestClient } from './rest-client.ts'
import type { Subscriptions, WantedMarket } from './subscriptions.ts'

/** The service cuts longer lists of symbols off. */
const MOST_FSYMS = 1_000
const MOST_TSYMS = 100

/** Candle calls under way at once: there is one call a market. */
const CALLS_AT_ONCE = 4

const FEWEST_MINUTES = 3
const MOST_MINUTES = 2_000

/** How long a market that the service did not know is left out. */
const UNKNOWN_MS = 600_000

const NOTHING_KNOWN = new TapelineError('SOURCE_UNAVAILABLE', 'rest: none of the markets is known')

type PolledChannel = Exclude<FeedChannel, 'trade' | 'book'>

/** Whether the service gave what was asked for. */
type Call = (signal: AbortSignal) => Promise<boolean>

interface RestPollingOptions {
  readonly client: RestClient
  readonly subscriptions: Subscriptions
  readonly channels: readonly FeedChannel[]
  readonly outlet: Outlet
  readonly pollEveryMs: number
  readonly log: Log
}

/**
 * Quotes and closed 1-minute candles by REST, while the WebSocket is down. Trades are not to be had this way.
 *
 * Quotes of all markets of an exchange come in one call. A market that the service does not know is reported and left out from
 * then on; it costs the others nothing.
 */
export class RestPolling implements Fallback {
  readonly #options: RestPollingOptions
  readonly #channels: readonly PolledChannel[]
  /** Exchanges that must be asked for each quote currency alone: not all of their bases trade in all quotes. */
  readonly #byQuote = new Set<string>()
  /** When the service did not know a market of a channel, in milliseconds of the process. */
  readonly #unknownAt = {
    quote: new WeakMap<WantedMarket, number>(),
    candle: new WeakMap<WantedMarket, number>(),
  }
  /** The minute in which a market's candles were last asked for with success. */
  readonly #minuteOf = new WeakMap<WantedMarket, number>()
  #stop: AbortController | undefined
  #delivering = false
  #failure: TapelineError | undefined
  #failures = 0

  constructor(options: RestPollingOptions) {
    this.#options = options
    this.#channels = options.channels.filter((channel) => channel !== 'trade' && channel !== 'book')
  }

  get delivering(): boolean {
    return this.#delivering
  }

  get failure(): TapelineError | undefined {
    return this.#failure
  }

  get detail(): string {
    return `rest: polling every ${this.#options.pollEveryMs} ms; trades are not to be had this way`
  }

  start(changed: () => void): void {
    this.stop()
    this.#stop = new AbortController()
    this.#run(this.#stop.signal, changed).catch((error: unknown) => {
      this.#options.log.error({ error: toTapelineError(error).message }, 'the polling ended by a defect')
    })
  }

  stop(): void {
    this.#stop?.abort()
    this.#stop = undefined
    this.#delivering = false
    this.#failure = undefined
    this.#failures = 0
  }

  async #run(signal: AbortSignal, changed: () => void): Promise<void> {
    while (!signal.aborted) {
      const calls = [...this.#quoteCalls(), ...this.#candleCalls()]
      // Between two minutes there may be nothing to ask for: that says nothing about the way.
      const idle = calls.length === 0 && this.#channels.some((channel) => this.#known(channel).length > 0)
      const failure = calls.length === 0 ? NOTHING_KNOWN : await this.#round(calls, signal)
      if (signal.aborted) return
      if (!idle) this.#judge(failure, changed)
      const wait = Math.max(this.#options.pollEveryMs, this.#options.client.pausedMs)
      await pause(wait, signal)
    }
  }

  /** One failed round between good ones is not yet a way that does not deliver; a refusal lasts, and is one at once. */
  #judge(failure: TapelineError | undefined, changed: () => void): void {
    this.#failures = failure ? this.#failures + 1 : 0
    this.#failure = failure
    if (!failure) this.#delivering = true
    else if (this.#failures > 1 || isRefusal(failure)) this.#delivering = false
    if (failure) {
      this.#options.log.debug({ code: failure.code, reason: failure.message }, 'a round of polling failed')
    }
    changed()
  }

  /** Makes all calls; gives the last failure where nothing at all succeeded. */
  async #round(waiting: readonly Call[], signal: AbortSignal): Promise<TapelineError | undefined> {
    const calls = [...waiting]
    let failure: TapelineError | undefined
    let succeeded = false
    const caller = async () => {
      for (let call = calls.shift(); call && !signal.aborted; call = calls.shift()) {
        try {
          if (await call(signal)) succeeded = true
        } catch (error) {
          failure = toTapelineError(error, 'SOURCE_UNAVAILABLE')
          // Going on would only be refused again.
          if (isRefusal(failure)) calls.length = 0
        }
      }
    }
    await Promise.all(Array.from({ length: CALLS_AT_ONCE }, caller))
    return succeeded ? undefined : (failure ?? NOTHING_KNOWN)
  }

  #known(channel: PolledChannel): readonly WantedMarket[] {
    const since = performance.now() - UNKNOWN_MS
    const isUnknown = (wanted: WantedMarket) => (this.#unknownAt[channel].get(wanted) ?? since) > since
    return this.#options.subscriptions.all().filter((wanted) => !isUnknown(wanted))
  }

  #quoteCalls() {
    if (!this.#channels.includes('quote')) return []
    const groups = Object.values(
      Object.groupBy(this.#known('quote'), ({ market, quote }) =>
        this.#byQuote.has(market.exchange) ? `${market.exchange}~${quote}` : market.exchange,
      ),
    )
    return groups
      .flatMap((group) => chunks(group ?? []))
      .map((markets) => (signal: AbortSignal) => this.#quotes(markets, signal))
  }

  /** Asks for the quotes of markets of one exchange; divides them where the service refuses all because of one. */
  async #quotes(markets: readonly WantedMarket[], signal: AbortSignal): Promise<boolean> {
    const [first] = markets
    if (!first) return false
    const { bases, quotes } = symbolsOf(markets)
    const exchange = this.#options.subscriptions.wireExchange(first)
    try {
      this.#emitQuotes(markets, await this.#options.client.prices(exchange, bases, quotes, signal), signal)
      return true
    } catch (error) {
      const failure = toTapelineError(error)
      if (failure.code !== 'MARKET_UNKNOWN') throw error
      if (markets.length === 1) return this.#refused(first, 'quote', failure)
      if (quotes.length > 1) this.#byQuote.add(first.market.exchange)
      let gave = false
      for (const part of divided(markets, failure.message)) if (await this.#quotes(part, signal)) gave = true
      return gave
    }
  }

  #emitQuotes(markets: readonly WantedMarket[], prices: Prices, signal: AbortSignal): void {
    const { outlet, subscriptions } = this.#options
    const recvTs = outlet.now()
    for (const wanted of markets) {
      const ticker = prices[wanted.base]?.[wanted.quote]
      if (!ticker || signal.aborted || !subscriptions.has(wanted)) continue
      const event = wanted.ticker.replace(ticker, recvTs, outlet.maxSkewMs)
      if (event === 'mistimed') outlet.tally.leftOut(Buffer.from(JSON.stringify(ticker)), event)
      else if (event === 'older') outlet.tally.counters.outOfOrder++
      else if (event !== 'unchanged') outlet.polled({ channel: 'quote', event })
    }
  }

  /** One call a market, once a minute. */
  #candleCalls() {
    if (!this.#channels.includes('candle')) return []
    const minute = Math.floor(this.#options.outlet.now() / MINUTE_US)
    return this.#known('candle')
      .filter((wanted) => this.#minuteOf.get(wanted) !== minute)
      .map((wanted) => (signal: AbortSignal) => this.#candles(wanted, minute, signal))
  }

  async #candles(wanted: WantedMarket, minute: number, signal: AbortSignal): Promise<boolean> {
    const { client, outlet, subscriptions } = this.#options
    const last = wanted.candles.lastMinute
    const missing = last === undefined ? FEWEST_MINUTES : minute - last / MINUTE_US
    const limit = Math.min(Math.max(missing, FEWEST_MINUTES), MOST_MINUTES)
    try {
      const exchange = subscriptions.wireExchange(wanted)
      const rows = await client.minutes([exchange, wanted.base, wanted.quote], { limit }, signal)
      if (signal.aborted || !subscriptions.has(wanted)) return false
      this.#minuteOf.set(wanted, minute)
      for (const event of wanted.candles.history(rows, outlet)) outlet.polled({ channel: 'candle', event })
      return true
    } catch (error) {
      const failure = toTapelineError(error)
      if (failure.code !== 'MARKET_UNKNOWN') throw error
      return this.#refused(wanted, 'candle', failure)
    }
  }

  #refused(wanted: WantedMarket, channel: PolledChannel, { message }: TapelineError): false {
    this.#unknownAt[channel].set(wanted, performance.now())
    const { refusals } = this.#options.outlet
    refusals.refuseChannel(wanted.market, channel, this.#channels.length, message)
    return false
  }
}

function isRefusal({ code }: TapelineError): boolean {
  return code === 'SOURCE_RATE_LIMITED' || code === 'SOURCE_UNAUTHORIZED'
}

/** A list of markets, cut into chunks that each fit into one call. */
function chunks(markets: readonly WantedMarket[]): readonly (readonly WantedMarket[])[] {
  const found: WantedMarket[][] = []
  for (const wanted of markets) {
    const longer = [...(found.at(-1) ?? []), wanted]
    if (found.length > 0 && fits(longer)) found[found.length - 1] = longer
    else found.push([wanted])
  }
  return found
}

function fits(markets: readonly WantedMarket[]): boolean {
  const { bases, quotes } = symbolsOf(markets)
  return bases.join(',').length <= MOST_FSYMS && quotes.join(',').length <= MOST_TSYMS
}

function symbolsOf(markets: readonly WantedMarket[]) {
  return {
    bases: [...new Set(markets.map((wanted) => wanted.base))],
    quotes: [...new Set(markets.map((wanted) => wanted.quote))],
  }
}

/** Sets the market apart that a message names as `(BASE-QUOTE)`; halves the list, ordered by quote, where it names none. */
function divided(markets: readonly WantedMarket[], message: string): readonly (readonly WantedMarket[])[] {
  const named = markets.findIndex((wanted) => message.includes(`(${wanted.base}-${wanted.quote})`))
  const ordered =
    named < 0 ? markets.toSorted((a, b) => a.quote.localeCompare(b.quote)) : markets.toSpliced(named, 1)
  if (named >= 0) return [markets.slice(named, named + 1), ordered]
  const half = Math.ceil(ordered.length / 2)
  return [ordered.slice(0, half), ordered.slice(half)]
}
