import { TapelineError } from '../../../errors.ts'
import type { Log } from '../../../ports/log.ts'
import type { Market } from '../../../ports/source.ts'
import type { FeedProtocol, FrameMeaning, MarketsChange, Outlet } from '../feed/live-source.ts'
import { marketRefused } from '../feed/status.ts'
import { readFrameText } from '../feed/text.ts'
import { type CoinbaseFrame, CoinbaseReader, EXCHANGE } from './frames.ts'

export type CoinbaseChannel = 'trades' | 'quotes'

const CHANNEL_NAMES: Readonly<Record<CoinbaseChannel, string>> = { trades: 'matches', quotes: 'ticker' }

interface ProtocolOptions {
  readonly source: string
  readonly channels: readonly CoinbaseChannel[]
  readonly outlet: Outlet
  readonly log: Log
}

/**
 * Coinbase Exchange's WebSocket feed. A subscribe with one unknown product is refused as a whole, so a refused list is asked
 * for again without the product that the reason names, or in halves where it names none. The service answers in order.
 */
export class CoinbaseProtocol implements FeedProtocol {
  readonly #options: ProtocolOptions
  readonly #channels: readonly string[]
  readonly #reader: CoinbaseReader
  readonly #symbols = new Set<string>()
  readonly #reported = new Set<string>()
  /** The subscribes that were not answered yet, oldest first. */
  #asked: (readonly string[])[] = []

  constructor(options: ProtocolOptions) {
    this.#options = options
    this.#channels = [...options.channels.map((channel) => CHANNEL_NAMES[channel]), 'heartbeat']
    this.#reader = new CoinbaseReader(
      (symbol) => this.#symbols.has(symbol),
      options.outlet.tally,
      options.outlet.maxSkewMs,
    )
  }

  get markets(): number {
    return this.#symbols.size
  }

  opened(): readonly string[] {
    this.#asked = []
    this.#reader.opened()
    return this.#ask([...this.#symbols])
  }

  add(markets: readonly Market[]): MarketsChange {
    const added = this.#own(markets).filter((symbol) => !this.#symbols.has(symbol))
    for (const symbol of added) this.#symbols.add(symbol)
    return { send: this.#ask(added), added: added.map((symbol) => ({ exchange: EXCHANGE, symbol })) }
  }

  remove(markets: readonly Market[]): MarketsChange {
    const gone = markets
      .map((market) => market.symbol.toUpperCase())
      .filter((symbol) => this.#symbols.delete(symbol))
    for (const symbol of gone) {
      this.#reported.delete(symbol)
      this.#reader.forget(symbol)
    }
    if (gone.length === 0) return { send: [], added: [] }
    // It is answered like a subscribe.
    this.#asked.push([])
    return { send: [this.#message('unsubscribe', gone)], added: [] }
  }

  read(data: Buffer, recvTs: number): FrameMeaning {
    const text = readFrameText(data)
    if (text === undefined) return 'malformed'
    const frame = this.#reader.read(text, recvTs)
    switch (frame.kind) {
      case 'trade':
        this.#options.outlet.emit({ channel: 'trade', event: frame.trade })
        return 'delivers'
      case 'quote':
        this.#options.outlet.emit({ channel: 'quote', event: frame.quote })
        return 'delivers'
      case 'subscriptions':
        this.#asked.shift()
        return frame.channels > 0 ? 'delivers' : 'neutral'
      case 'error':
        return this.#error(frame)
      // They come once a second for each product, so their rhythm tells nothing about a limit.
      case 'heartbeat':
      case 'nothing':
        return 'delivers'
      case 'other':
        return 'neutral'
      case 'malformed':
      case 'mistimed':
        return frame.kind
    }
  }

  #error({ message }: Extract<CoinbaseFrame, { kind: 'error' }>): FrameMeaning {
    const reason = message.slice(0, 200)
    if (/rate limit/i.test(reason)) return new TapelineError('SOURCE_RATE_LIMITED', `websocket: ${reason}`)
    const refused = this.#asked.shift()?.filter((symbol) => this.#symbols.has(symbol)) ?? []
    const [only] = refused
    if (only === undefined) this.#options.log.warn({ reason }, 'the service reports an error')
    else if (refused.length === 1) this.#unknown(only, reason)
    else this.#askApart(refused, reason)
    return 'neutral'
  }

  #askApart(refused: readonly string[], reason: string): void {
    const words = new Set(reason.toUpperCase().split(/[^A-Z0-9-]+/))
    const named = refused.find((symbol) => words.has(symbol))
    if (named !== undefined) this.#unknown(named, reason)
    const others = refused.filter((symbol) => symbol !== named)
    const half = named === undefined ? Math.ceil(others.length / 2) : others.length
    for (const part of [others.slice(0, half), others.slice(half)]) {
      for (const frame of this.#ask(part)) this.#options.outlet.send(frame)
    }
  }

  #unknown(symbol: string, reason: string): void {
    if (this.#reported.has(symbol)) return
    this.#reported.add(symbol)
    this.#report(symbol, reason)
  }

  #report(symbol: string, reason: string, exchange = EXCHANGE): void {
    const { source, outlet } = this.#options
    outlet.note(marketRefused(source, outlet.now(), { exchange, symbol }, `MARKET_UNKNOWN: ${reason}`))
  }

  /** The symbols of this exchange; markets of others are reported. */
  #own(markets: readonly Market[]): readonly string[] {
    const symbols = new Set<string>()
    for (const market of markets) {
      const symbol = market.symbol.toUpperCase()
      if (market.exchange.toLowerCase() === EXCHANGE) symbols.add(symbol)
      else this.#report(symbol, `this source has ${EXCHANGE} only`, market.exchange.toLowerCase())
    }
    return [...symbols]
  }

  #ask(symbols: readonly string[]): readonly string[] {
    if (symbols.length === 0) return []
    this.#asked.push(symbols)
    return [this.#message('subscribe', symbols)]
  }

  #message(type: 'subscribe' | 'unsubscribe', symbols: readonly string[]): string {
    return JSON.stringify({ type, product_ids: symbols, channels: this.#channels })
  }
}
