import { startInterval, type Timer } from '../../../async/timers.ts'
import { marketKey, type Trade } from '../../../domain/events.ts'
import { TapelineError } from '../../../errors.ts'
import type { Market, SourceHealth } from '../../../ports/source.ts'
import { BookKeeper } from './book-keeper.ts'
import type { WireBook } from './book-wire.ts'
import { canonicalMarket } from './canonical-market.ts'
import { isPlausible } from './event-time.ts'
import { exactTexts } from './exact-numbers.ts'
import type { ExchangeWire, WireItem, WireOperation, WireQuote, WireTrade } from './exchange-wire.ts'
import type { FeedProtocol, FrameMeaning, MarketsChange } from './feed-protocol.ts'
import { FramePacer } from './frame-pacer.ts'
import { QuoteState } from './quote-state.ts'
import { SequenceClock } from './sequence-clock.ts'
import type { FeedChannel, SourceParts } from './source-kind.ts'
import { readFrameText, readWireId } from './text.ts'
import { TradeOrder } from './trade-order.ts'
import { TradeSequences } from './trade-sequence.ts'
import { readNumber, readPrice } from './values.ts'
import { namesMarket, refusalInWords, shownWords } from './words.ts'

interface MarketState {
  readonly market: Market
  /** What the service calls it. */
  readonly name: string
  readonly order: TradeOrder
  readonly quote: QuoteState
}

/** What a frame with several items means: the first of these that one of them has. */
const BY_WEIGHT = ['malformed', 'mistimed', 'delivers', 'heartbeat', 'neutral'] as const

/**
 * The conversation with an exchange whose frames an `ExchangeWire` writes and reads: it asks for markets in requests of bearable size, and
 * accuses only the markets that the service names. Where the service refuses a whole request for one market, it asks for the others anew. It is
 * long, and one file: requests, answers and refusals change the same markets of one connection.
 */
export class ExchangeProtocol implements FeedProtocol {
  readonly #wire: ExchangeWire
  readonly #parts: SourceParts
  readonly #pacer: FramePacer
  readonly #sequences: TradeSequences
  readonly #clock: SequenceClock
  /** Where books are asked for. */
  readonly #books: BookKeeper | undefined
  /** The markets asked for, by the service's name. */
  readonly #states = new Map<string, MarketState>()
  /** The markets of each request of this connection without an answer. */
  readonly #requests = new Map<number, readonly string[]>()
  #lastRequest = 0
  #isOpen = false
  #ping: Timer | undefined

  constructor(wire: ExchangeWire, parts: SourceParts) {
    this.#wire = wire
    this.#parts = parts
    const { outlet } = parts
    this.#pacer = new FramePacer(wire.framesPerSecond, outlet.send)
    // What is passed on after the end of a connection proves nothing about the next one.
    this.#sequences = new TradeSequences((item) => (this.#isOpen ? outlet.emit(item) : outlet.note(item)))
    this.#clock = new SequenceClock(this.#sequences, outlet.now)
    if (wire.books && parts.channels.includes('book')) {
      const { books, rest, timeoutMs, log } = parts
      const askAgain = (name: string) => this.#askForBook(name)
      this.#books = new BookKeeper({ ...books, rules: wire.books, outlet, askAgain, rest, timeoutMs, log })
    }
  }

  get markets(): number {
    return this.#states.size
  }

  get books(): SourceHealth['books'] {
    return this.#books?.states
  }

  opened(): readonly string[] {
    this.closed()
    this.#wire.opened?.()
    this.#isOpen = true
    for (const { quote } of this.#states.values()) quote.forget()
    const { refusals } = this.#parts.outlet
    // Those that were refused before may not cost the others an answer.
    const { good = [], refused = [] } = Object.groupBy(this.#states.values(), ({ market }) =>
      refusals.has(market) ? 'refused' : 'good',
    )
    this.#books?.opened()
    this.#startPing()
    return this.#pacer.push([...this.#ask('subscribe', good), ...this.#ask('subscribe', refused)])
  }

  closed(): void {
    this.#isOpen = false
    this.#ping?.stop()
    this.#ping = undefined
    this.#pacer.clear()
    this.#requests.clear()
    this.#clock.stop()
    this.#sequences.ended()
    this.#books?.closed()
  }

  elapse(now: number): void {
    this.#clock.elapse(now)
    this.#books?.elapse()
  }

  answered(url: string, body: string, recvTs: number): void {
    this.#books?.answered(url, body, recvTs)
  }

  add(markets: readonly Market[]): MarketsChange {
    const added = this.#own(markets)
    for (const state of added) {
      this.#states.set(state.name, state)
      this.#books?.add(state.name, state.market)
    }
    const send = this.#isOpen ? this.#pacer.push(this.#ask('subscribe', added)) : []
    return { send, added: added.map(({ market }) => market) }
  }

  remove(markets: readonly Market[]): MarketsChange {
    for (const market of markets) this.#parts.outlet.refusals.forget(canonicalMarket(market))
    const gone = [...this.#states.values()].filter(({ market }) =>
      markets.map(canonicalMarket).some(({ exchange, symbol }) => isSame(market, { exchange, symbol })),
    )
    for (const { name, market } of gone) {
      this.#states.delete(name)
      this.#sequences.forget(market.symbol)
      this.#books?.forget(name)
    }
    return { send: this.#isOpen ? this.#pacer.push(this.#ask('unsubscribe', gone)) : [], added: [] }
  }

  read(data: Buffer, recvTs: number): FrameMeaning {
    const text = readFrameText(data)
    if (text === undefined) return 'malformed'
    const items = this.#wire.read(text)
    const [only] = items
    const meanings =
      items.length === 1 && only !== undefined
        ? this.#item(only, recvTs)
        : items.map((item) => this.#item(item, recvTs))
    this.#clock.elapse(recvTs)
    if (!Array.isArray(meanings)) return meanings
    return (
      meanings.find((meaning) => meaning instanceof TapelineError) ??
      BY_WEIGHT.find((meaning) => meanings.includes(meaning)) ??
      'neutral'
    )
  }

  #item(item: WireItem, recvTs: number): FrameMeaning {
    switch (item.kind) {
      case 'trade':
        return this.#trade(item, recvTs)
      case 'quote':
        return this.#quote(item, recvTs)
      case 'book':
        return this.#book(item, recvTs)
      case 'checksum':
        this.#books?.check(item, recvTs)
        return 'delivers'
      case 'taken':
        return this.#taken(item.name, item.request)
      case 'refused':
        return this.#refused(item)
      case 'reply':
        for (const frame of this.#pacer.push([item.frame])) this.#parts.outlet.send(frame)
        return 'neutral'
      case 'ended': {
        const words = shownWords(item.words, this.#parts.redact)
        return new TapelineError('SOURCE_UNAVAILABLE', `websocket: ${words}`)
      }
      default:
        return item.kind
    }
  }

  #trade(item: WireTrade, recvTs: number): FrameMeaning {
    if (typeof item.name !== 'string') return 'malformed'
    const state = this.#states.get(item.name)
    const id = readWireId(item.id)
    const [price, size] = [readPrice(item.price), readPrice(item.size)]
    const { side, ts } = item
    const isRead = price !== undefined && size !== undefined && side !== undefined && ts !== undefined
    if (id === undefined) return 'malformed'
    if (!isRead || !isPlausible(ts, recvTs, this.#parts.outlet.maxSkewMs)) {
      if (state) this.#sequences.refused(state.market, id)
      return isRead ? 'mistimed' : 'malformed'
    }
    if (state === undefined) return 'delivers'
    this.#heard(state)
    const { exchange, symbol } = state.market
    const texts = exactTexts(item.price, item.size, { price, size })
    const trade: Trade = { exchange, symbol, id, side, price, size, ts, recvTs, ...texts }
    state.order.see(id, trade.ts, this.#parts.outlet.tally)
    if (this.#wire.idsRise) this.#sequences.trade(trade, item.folded)
    else this.#parts.outlet.emit({ channel: 'trade', event: trade })
    return 'delivers'
  }

  #quote({ name, update, ts: told, sequence }: WireQuote, recvTs: number): FrameMeaning {
    const { tally, emit, maxSkewMs } = this.#parts.outlet
    if (typeof name !== 'string' || told === undefined) return 'malformed'
    const state = this.#states.get(name)
    // Some services have no best prices but those of their books.
    if (state === undefined || !this.#parts.channels.includes('quote')) return 'delivers'
    const ts = told === 'none' ? recvTs : told
    if (!isPlausible(ts, recvTs, maxSkewMs)) return 'mistimed'
    this.#heard(state)
    const fields = state.quote.merge(update, { ts: told === 'none' ? undefined : told, sequence })
    if (fields === 'older') tally.counters.outOfOrder++
    if (typeof fields !== 'string')
      emit({ channel: 'quote', event: { ...state.market, ...fields, ts, recvTs } })
    return 'delivers'
  }

  #book(item: WireBook, recvTs: number): FrameMeaning {
    const state = typeof item.name === 'string' ? this.#states.get(item.name) : undefined
    if (state && item.bids && item.asks) this.#heard(state)
    return this.#books?.take(item, recvTs) ?? 'neutral'
  }

  /** What is delivered is not refused, whatever was said before. */
  #heard({ market }: MarketState): void {
    const { refusals } = this.#parts.outlet
    if (refusals.has(market)) refusals.accept(market)
  }

  #taken(name: unknown, request: unknown): FrameMeaning {
    const names = typeof name === 'string' ? [name] : (this.#answered(request) ?? [])
    for (const each of names) {
      const state = this.#states.get(each)
      if (state) this.#parts.outlet.refusals.accept(state.market)
    }
    return 'delivers'
  }

  #refused({ words: said, name, request, ...refusal }: Extract<WireItem, { kind: 'refused' }>): FrameMeaning {
    const { outlet, redact } = this.#parts
    const words = shownWords(said, redact) || 'an error without a reason'
    const error = refusalInWords('websocket', words)
    if (error.code === 'SOURCE_RATE_LIMITED') return error
    const asked = this.#answered(request)
    const candidates = asked ?? [...this.#states.keys()]
    const isNamed = (each: string) => each === name || (!refusal.isOfRequest && namesMarket(said, each))
    const accused = candidates.length === 1 && asked ? candidates : candidates.filter(isNamed)
    if (accused.length === 0 && (asked === undefined || !this.#wire.refusesWhole)) outlet.complain(error)
    const code = refusal.isFull ? 'SOURCE_RATE_LIMITED' : 'MARKET_UNKNOWN'
    for (const each of accused) this.#accuse(each, `${code}: ${words}`)
    if (asked !== undefined && this.#wire.refusesWhole) this.#askApart(asked, accused)
    return 'neutral'
  }

  #accuse(name: string, why: string): void {
    const state = this.#states.get(name)
    if (state) this.#parts.outlet.refusals.refuse(state.market, why)
  }

  /** The others of a refused request: in one where the service said whom it means, each by itself where it did not. */
  #askApart(asked: readonly string[], accused: readonly string[]): void {
    const others = asked
      .filter((each) => !accused.includes(each))
      .flatMap((each) => this.#states.get(each) ?? [])
    const requests = accused.length > 0 ? [others] : others.map((each) => [each])
    const frames = requests.flatMap((states) => this.#ask('subscribe', states))
    for (const frame of this.#pacer.push(frames)) this.#parts.outlet.send(frame)
  }

  /** The markets of a request that is answered herewith; undefined where nobody knows it. */
  #answered(request: unknown): readonly string[] | undefined {
    const number = readNumber(request)
    if (number === undefined) return undefined
    const asked = this.#requests.get(number)
    this.#requests.delete(number)
    return asked
  }

  /** A snapshot comes with a new subscription only. */
  #askForBook(name: string): void {
    const state = this.#states.get(name)
    if (!this.#isOpen || state === undefined) return
    const frames = [
      ...this.#ask('unsubscribe', [state], ['book']),
      ...this.#ask('subscribe', [state], ['book']),
    ]
    for (const frame of this.#pacer.push(frames)) this.#parts.outlet.send(frame)
  }

  #ask(
    operation: WireOperation,
    states: readonly MarketState[],
    channels: readonly FeedChannel[] = this.#parts.channels,
  ): readonly string[] {
    const frames: string[] = []
    for (let at = 0; at < states.length; at += this.#wire.mostNames) {
      const asked = states.slice(at, at + this.#wire.mostNames).map(({ name }) => name)
      const request = ++this.#lastRequest
      if (operation === 'subscribe') this.#requests.set(request, asked)
      frames.push(...this.#wire.ask(operation, asked, channels, request, this.#parts.books.depth))
    }
    return frames
  }

  #startPing(): void {
    const { ping } = this.#wire
    if (ping) this.#ping = startInterval(() => this.#parts.outlet.send(ping.frame), ping.everyMs).unref()
  }

  /** The markets of this exchange that are new, once each; those of others, and what is another's by another name, are reported. */
  #own(markets: readonly Market[]): readonly MarketState[] {
    const states = new Map<string, MarketState>()
    for (const market of markets.map(canonicalMarket)) {
      const name = this.#wire.nameOf(market.symbol)
      const known = states.get(name) ?? this.#states.get(name)
      const why = this.#whyNot(market, name, known?.market)
      if (why !== undefined) this.#parts.outlet.refusals.refuse(market, why)
      else if (known === undefined)
        states.set(name, { market, name, order: new TradeOrder(), quote: new QuoteState() })
    }
    return [...states.values()]
  }

  /** `known`: who has the name already. */
  #whyNot(market: Market, name: string, known: Market | undefined): string | undefined {
    const { exchange, usualAsset } = this.#wire
    if (market.exchange !== exchange) return `MARKET_UNKNOWN: this source has ${exchange} only`
    const usual = usualAsset ? market.symbol.split('-').map(usualAsset).join('-') : market.symbol
    if (usual !== market.symbol) return `MARKET_AMBIGUOUS: it is ${marketKey({ exchange, symbol: usual })}`
    if (known === undefined || isSame(known, market)) return undefined
    return `MARKET_AMBIGUOUS: its name there is ${name}, as is that of ${marketKey(known)}`
  }
}

function isSame(a: Market, b: Market): boolean {
  return a.exchange === b.exchange && a.symbol === b.symbol
}
