import { type Countdown, startTimer } from '../../../async/timers.ts'
import { canonicalSymbol } from '../../../domain/market-names.ts'
import type { Market, SourceHealth } from '../../../ports/source.ts'
import { BookKeeper } from '../feed/book-keeper.ts'
import { canonicalMarket } from '../feed/canonical-market.ts'
import type { FeedProtocol, FrameMeaning, MarketsChange } from '../feed/feed-protocol.ts'
import { SequenceClock } from '../feed/sequence-clock.ts'
import type { FeedChannel, SourceParts } from '../feed/source-kind.ts'
import { readFrameText } from '../feed/text.ts'
import { TradeSequences } from '../feed/trade-sequence.ts'
import { refusalInWords, shownWords } from '../feed/words.ts'
import { BOOK_RULES, readBook } from './books.ts'
import { type CoinbaseFrame, CoinbaseReader, EXCHANGE } from './frames.ts'

/** Batches of 50 ms: the other one needs a key. */
const BOOK_CHANNEL = 'level2_batch'

const CHANNEL_NAMES: Readonly<Partial<Record<FeedChannel, string>>> = {
  trade: 'matches',
  quote: 'ticker',
  book: BOOK_CHANNEL,
}

/** How long after an answer that names none of them the products of a subscribe may still be named, or sent. */
const SETTLE_MS = 2_000

const OMITTED = 'MARKET_UNKNOWN: the answer `subscriptions` does not name it'

type ProtocolOptions = Pick<SourceParts, 'channels' | 'outlet' | 'redact' | 'books' | 'timeoutMs' | 'log'>

/**
 * Coinbase Exchange's WebSocket feed. A subscribe with one unknown product is refused as a whole, once for each channel; or it is
 * taken, and `subscriptions` leaves the product out. So a product is accused where an error names it, or where the answer to its
 * subscribe does not; the others of a refused subscribe are asked for again without it. An error that names none accuses nobody.
 * It is long, and one file: what an answer means depends on all that was asked and answered before on its connection.
 */
export class CoinbaseProtocol implements FeedProtocol {
  readonly #options: ProtocolOptions
  readonly #channels: readonly string[]
  readonly #reader: CoinbaseReader
  readonly #sequences: TradeSequences
  readonly #clock: SequenceClock
  /** Where books are asked for. */
  readonly #books: BookKeeper | undefined
  #isOpen = false
  readonly #symbols = new Set<string>()
  /** The products of each subscribe of this connection that no answer named yet. */
  #asked: ReadonlySet<string>[] = []
  /** The unsubscribes of this connection without an answer. */
  #unsubscribes = 0
  /** The products that were named, or refused, on this connection. */
  readonly #named = new Set<string>()
  readonly #refused = new Set<string>()
  /** Whether an error that names no product came on this connection. */
  #hasComplained = false
  #settling: Countdown | undefined

  constructor(options: ProtocolOptions) {
    this.#options = options
    this.#channels = [...options.channels.flatMap((channel) => CHANNEL_NAMES[channel] ?? []), 'heartbeat']
    const { tally, maxSkewMs } = options.outlet
    this.#reader = new CoinbaseReader((symbol) => this.#symbols.has(symbol), tally, maxSkewMs)
    // What is passed on after the end of a connection proves nothing about the next one.
    this.#sequences = new TradeSequences((item) =>
      this.#isOpen ? options.outlet.emit(item) : options.outlet.note(item),
    )
    this.#clock = new SequenceClock(this.#sequences, options.outlet.now)
    if (options.channels.includes('book')) {
      const { books, outlet, timeoutMs, log } = options
      const askAgain = (symbol: string) => this.#askForBook(symbol)
      this.#books = new BookKeeper({
        ...{ ...books, rules: BOOK_RULES, outlet, askAgain, rest: undefined, timeoutMs, log },
      })
    }
  }

  get markets(): number {
    return this.#symbols.size
  }

  get books(): SourceHealth['books'] {
    return this.#books?.states
  }

  /** Those that were refused before are asked for by themselves: they may not cost the others an answer. */
  opened(): readonly string[] {
    this.closed()
    this.#asked = []
    this.#unsubscribes = 0
    this.#hasComplained = false
    this.#named.clear()
    this.#refused.clear()
    this.#isOpen = true
    this.#reader.opened()
    this.#books?.opened()
    const { refusals } = this.#options.outlet
    const { good = [], refused = [] } = Object.groupBy(this.#symbols, (symbol) =>
      refusals.has(marketOf(symbol)) ? 'refused' : 'good',
    )
    return [...this.#ask(good), ...this.#ask(refused)]
  }

  /** What waits for late trades is passed on: none will come on this connection. */
  closed(): void {
    this.#settling?.stop()
    this.#settling = undefined
    this.#clock.stop()
    this.#isOpen = false
    this.#sequences.ended()
    this.#books?.closed()
  }

  add(markets: readonly Market[]): MarketsChange {
    const added = this.#own(markets).filter((symbol) => !this.#symbols.has(symbol))
    for (const symbol of added) {
      this.#symbols.add(symbol)
      this.#books?.add(symbol, marketOf(symbol))
    }
    return { send: this.#ask(added), added: added.map(marketOf) }
  }

  remove(markets: readonly Market[]): MarketsChange {
    for (const market of markets) this.#options.outlet.refusals.forget(canonicalMarket(market))
    const gone = markets
      .map((market) => canonicalMarket(market).symbol)
      .filter((symbol) => this.#symbols.delete(symbol))
    for (const symbol of gone) {
      this.#named.delete(symbol)
      this.#refused.delete(symbol)
      this.#reader.forget(symbol)
      this.#sequences.forget(symbol)
      this.#books?.forget(symbol)
    }
    if (gone.length === 0) return { send: [], added: [] }
    this.#unsubscribes++
    return { send: [this.#message('unsubscribe', gone)], added: [] }
  }

  read(data: Buffer, recvTs: number): FrameMeaning {
    const text = readFrameText(data)
    if (text === undefined) return 'malformed'
    const frame = this.#reader.read(text, recvTs)
    if (frame.kind === 'quote' || frame.kind === 'heartbeat') this.#clock.elapse(recvTs)
    switch (frame.kind) {
      case 'trade':
        this.#heard(frame.trade.symbol)
        this.#sequences.trade(frame.trade)
        this.#clock.elapse(recvTs)
        return 'delivers'
      case 'quote':
        this.#heard(frame.quote.symbol)
        this.#options.outlet.emit({ channel: 'quote', event: frame.quote })
        return 'delivers'
      case 'book':
        this.#heard(frame.symbol)
        return this.#books?.take(readBook(frame.symbol, frame.fields), recvTs) ?? 'delivers'
      case 'subscriptions':
        return this.#answered(frame)
      case 'error':
        return this.#error(frame)
      // They come once a second for each product, so their rhythm tells nothing about a limit.
      case 'heartbeat':
        if (frame.last) this.#sequences.names(frame.last.market, frame.last.id, frame.last.ts, recvTs)
        return 'delivers'
      case 'nothing':
        return 'delivers'
      case 'other':
        return 'neutral'
      case 'malformed':
      case 'mistimed':
        if (frame.refused) this.#sequences.refused(frame.refused.market, frame.refused.id)
        return frame.kind
    }
  }

  /** What is delivered is not refused, whatever was said before. */
  #heard(symbol: string): void {
    if (this.#refused.size > 0 && this.#refused.has(symbol)) this.#accept(symbol)
  }

  /** An answer to a subscribe names its products, or some of them; it may name all others too. */
  #answered({ products }: Extract<CoinbaseFrame, { kind: 'subscriptions' }>): FrameMeaning {
    if (products === undefined) return 'delivers'
    const named = new Set(this.#wantedAmong(products))
    for (const symbol of named) this.#accept(symbol)
    const isAnswered = (symbols: ReadonlySet<string>) => [...symbols].some((symbol) => named.has(symbol))
    const answered = this.#asked.filter(isAnswered)
    this.#asked = this.#asked.filter((symbols) => !isAnswered(symbols))
    for (const symbol of answered.flatMap((symbols) => [...symbols])) {
      if (!named.has(symbol)) this.#omitted(symbol)
    }
    if (answered.length === 0) this.#namedNoneAskedFor(named)
    return named.size > 0 ? 'delivers' : 'neutral'
  }

  /** The answer to an unsubscribe; or to a subscribe of which nothing was taken; or what is left, said without being asked. */
  #namedNoneAskedFor(named: ReadonlySet<string>): void {
    if (this.#unsubscribes > 0) this.#unsubscribes--
    else if (this.#asked.length > 0) this.#settling ??= startTimer(() => this.#settle(), SETTLE_MS).unref()
    else for (const symbol of this.#named) if (!named.has(symbol)) this.#omitted(symbol)
  }

  #settle(): void {
    this.#settling = undefined
    const open = this.#asked.flatMap((symbols) => [...symbols])
    this.#asked = []
    for (const symbol of open) {
      if (this.#reader.hasHeard(symbol)) this.#accept(symbol)
      else if (!this.#hasComplained) this.#omitted(symbol)
    }
  }

  #accept(symbol: string): void {
    this.#named.add(symbol)
    this.#refused.delete(symbol)
    this.#options.outlet.refusals.accept(marketOf(symbol))
  }

  #omitted(symbol: string): void {
    this.#named.delete(symbol)
    if (this.#symbols.has(symbol) && !this.#refused.has(symbol)) this.#refuse(symbol, OMITTED)
  }

  #refuse(symbol: string, why: string): void {
    this.#refused.add(symbol)
    this.#named.delete(symbol)
    this.#options.outlet.refusals.refuse(marketOf(symbol), why)
  }

  #error({ message }: Extract<CoinbaseFrame, { kind: 'error' }>): FrameMeaning {
    const { outlet, redact } = this.#options
    const words = shownWords(message, redact) || 'an error without a reason'
    const refused = this.#symbolsIn(message)
    const error = refusalInWords('websocket', words)
    if (error.code === 'SOURCE_RATE_LIMITED') return error
    if (refused.length === 0) {
      this.#hasComplained = true
      outlet.complain(error)
      return 'neutral'
    }
    // Each channel is answered by itself: further errors about the same product say nothing new.
    const fresh = refused.filter((symbol) => !this.#refused.has(symbol))
    for (const symbol of fresh) this.#refuse(symbol, `MARKET_UNKNOWN: ${words}`)
    this.#askApart(fresh)
    return 'neutral'
  }

  /** Asks anew for what was refused together with products that were named. */
  #askApart(named: readonly string[]): void {
    const isRefused = (symbols: ReadonlySet<string>) => named.some((symbol) => symbols.has(symbol))
    const refused = this.#asked.filter(isRefused)
    this.#asked = this.#asked.filter((symbols) => !isRefused(symbols))
    const others = refused.flatMap((symbols) => [...symbols]).filter((symbol) => !this.#refused.has(symbol))
    for (const frame of this.#ask(others)) this.#options.outlet.send(frame)
  }

  /** The markets asked for that a text names. */
  #symbolsIn(text: string): readonly string[] {
    return this.#wantedAmong(text.split(/[\s,;"'`()[\]{}]+/).map((word) => word.replace(/[.:!?]+$/, '')))
  }

  #wantedAmong(names: readonly string[]): readonly string[] {
    const symbols = names.map(canonicalSymbol)
    return [...new Set(symbols)].filter(
      (symbol) => symbol !== undefined && this.#symbols.has(symbol),
    ) as string[]
  }

  /** The symbols of this exchange; markets of others are reported. */
  #own(markets: readonly Market[]): readonly string[] {
    const symbols = new Set<string>()
    for (const market of markets.map(canonicalMarket)) {
      if (market.exchange === EXCHANGE) symbols.add(market.symbol)
      else this.#options.outlet.refusals.refuse(market, `MARKET_UNKNOWN: this source has ${EXCHANGE} only`)
    }
    return [...symbols]
  }

  #ask(symbols: readonly string[]): readonly string[] {
    if (symbols.length === 0) return []
    this.#asked.push(new Set(symbols))
    return [this.#message('subscribe', symbols)]
  }

  /** A snapshot comes with a new subscription only. */
  #askForBook(symbol: string): void {
    if (!this.#isOpen) return
    this.#unsubscribes++
    this.#asked.push(new Set([symbol]))
    for (const type of ['unsubscribe', 'subscribe'] as const)
      this.#options.outlet.send(this.#message(type, [symbol], [BOOK_CHANNEL]))
  }

  #message(
    type: 'subscribe' | 'unsubscribe',
    symbols: readonly string[],
    channels: readonly string[] = this.#channels,
  ): string {
    return JSON.stringify({ type, product_ids: symbols, channels })
  }
}

function marketOf(symbol: string): Market {
  return { exchange: EXCHANGE, symbol }
}
