import { z } from 'zod'
import type { Quote, Trade } from '../../../domain/events.ts'
import { canonicalSymbol } from '../../../domain/market-names.ts'
import { parseIsoMicros } from '../../../domain/time.ts'
import type { Market } from '../../../ports/source.ts'
import { isPlausible } from '../feed/event-time.ts'
import { exactTexts } from '../feed/exact-numbers.ts'
import { QuoteState } from '../feed/quote-state.ts'
import type { Fault, Tally } from '../feed/tally.ts'
import { exactDigits, parseObject, readId } from '../feed/text.ts'
import { TradeOrder } from '../feed/trade-order.ts'
import { readNumber, readPrice } from '../feed/values.ts'
import type { Fields } from '../feed/wire-fields.ts'

export const EXCHANGE = 'coinbase'

const subscriptionsSchema = z.object({
  channels: z.array(
    z.object({ name: z.string(), product_ids: z.array(z.string()).optional().catch(undefined) }),
  ),
})

const errorSchema = z.object({ message: z.string().catch(''), reason: z.string().catch('') })

/**
 * What one frame says. `other`: of the protocol, but nothing that we use (Coinbase asks clients to pass over types that they do
 * not know). `nothing`: about a market that nobody asked for, or no change.
 */
export type CoinbaseFrame =
  | { readonly kind: 'trade'; readonly trade: Trade }
  | { readonly kind: 'quote'; readonly quote: Quote }
  /** `products`: what is named for any channel but heartbeat; undefined where channels are named without products. */
  | { readonly kind: 'subscriptions'; readonly products: readonly string[] | undefined }
  /** A snapshot or a change of a book: `fields` are those of the frame. */
  | { readonly kind: 'book'; readonly symbol: string; readonly fields: Fields }
  | { readonly kind: 'error'; readonly message: string }
  | { readonly kind: 'heartbeat'; readonly last?: LastTrade }
  | { readonly kind: Fault; readonly refused?: { readonly market: Market; readonly id: string } }
  | { readonly kind: 'nothing' | 'other' }

/** What a heartbeat says of a market: its last trade, and the time of the heartbeat. */
interface LastTrade {
  readonly market: Market
  readonly id: string
  readonly ts: number
}

interface MarketState {
  readonly market: Market
  readonly order: TradeOrder
  readonly quote: QuoteState
  /** Whether anything came for it on this connection. */
  heard: boolean
}

const MALFORMED = { kind: 'malformed' } as const
const MISTIMED = { kind: 'mistimed' } as const
const NOTHING = { kind: 'nothing' } as const

/**
 * Reads the frames of Coinbase Exchange's WebSocket feed, live or recorded: match and last_match are trades, ticker is a quote.
 * Format: https://docs.cdp.coinbase.com/exchange/websocket-feed/channels
 */
export class CoinbaseReader {
  readonly #wants: (symbol: string) => boolean
  readonly #tally: Tally
  readonly #maxSkewMs: number
  /** By symbol. */
  readonly #markets = new Map<string, MarketState>()

  /**
   * `wants` tells whether somebody asked for a symbol (BASE-QUOTE, upper case). `maxSkewMs`: how far after its arrival the time of
   * an event may lie.
   */
  constructor(wants: (symbol: string) => boolean, tally: Tally, maxSkewMs: number) {
    this.#wants = wants
    this.#tally = tally
    this.#maxSkewMs = maxSkewMs
  }

  /** A new connection: what was known of the prices may have changed unseen. */
  opened(): void {
    for (const state of this.#markets.values()) {
      state.quote.forget()
      state.heard = false
    }
  }

  /** Whether anything came for a market on this connection. */
  hasHeard(symbol: string): boolean {
    return this.#markets.get(symbol)?.heard === true
  }

  /** Forgets what it knows of a market. */
  forget(symbol: string): void {
    this.#markets.delete(symbol)
  }

  /** Never throws. `recvTs`: microseconds. */
  read(text: string, recvTs: number): CoinbaseFrame {
    const frame = parseObject(text)
    switch (frame?.['type']) {
      case 'match':
      case 'last_match':
        return this.#trade(frame, text, recvTs)
      case 'ticker':
        return this.#quote(frame, recvTs)
      case 'snapshot':
      case 'l2update':
        return this.#book(frame)
      case 'heartbeat':
        return this.#heartbeat(frame, text, recvTs)
      case 'subscriptions': {
        const parsed = subscriptionsSchema.safeParse(frame)
        return parsed.success ? { kind: 'subscriptions', products: productsOf(parsed.data) } : MALFORMED
      }
      case 'error': {
        const { message, reason } = errorSchema.parse(frame)
        return { kind: 'error', message: [message, reason].filter(Boolean).join(': ') }
      }
      default:
        return typeof frame?.['type'] === 'string' ? { kind: 'other' } : MALFORMED
    }
  }

  #trade(frame: Fields, text: string, recvTs: number): CoinbaseFrame {
    const state = this.#state(frame['product_id'])
    if (state === 'malformed') return MALFORMED
    const id = tradeId(frame, 'trade_id', text)
    const refused = state === 'nothing' || id === undefined ? undefined : { market: state.market, id }
    const price = readPrice(frame['price'])
    const size = readPrice(frame['size'])
    const ts = micros(frame['time'])
    const side = TAKER_SIDE.get(frame['side'])
    if (price === undefined || size === undefined || id === undefined || ts === undefined || !side)
      return { kind: 'malformed', ...(refused && { refused }) }
    if (state === 'nothing') return NOTHING
    if (!isPlausible(ts, recvTs, this.#maxSkewMs)) return { kind: 'mistimed', ...(refused && { refused }) }
    const { exchange, symbol } = state.market
    state.order.see(id, ts, this.#tally)
    const texts = exactTexts(frame['price'], frame['size'], { price, size })
    return { kind: 'trade', trade: { exchange, symbol, id, side, price, size, ts, recvTs, ...texts } }
  }

  #book(fields: Fields): CoinbaseFrame {
    const state = this.#state(fields['product_id'])
    if (typeof state === 'string') return state === 'malformed' ? MALFORMED : NOTHING
    return { kind: 'book', symbol: state.market.symbol, fields }
  }

  /** What it says of the last trade is used where it can be read; a heartbeat is one in any case. */
  #heartbeat(frame: Fields, text: string, recvTs: number): CoinbaseFrame {
    const state = this.#state(frame['product_id'])
    const id = tradeId(frame, 'last_trade_id', text)
    const ts = micros(frame['time'])
    if (typeof state === 'string' || id === undefined || ts === undefined) return { kind: 'heartbeat' }
    if (!isPlausible(ts, recvTs, this.#maxSkewMs)) return { kind: 'heartbeat' }
    return { kind: 'heartbeat', last: { market: state.market, id, ts } }
  }

  /** A ticker without a time has the arrival's; other fields that cannot be read cost nothing but themselves. */
  #quote(frame: Fields, recvTs: number): CoinbaseFrame {
    const { time, product_id, sequence } = frame
    const isTimed = time !== undefined && time !== null && time !== ''
    const ts = isTimed ? micros(time) : recvTs
    if (ts === undefined) return MALFORMED
    const state = this.#state(product_id)
    if (typeof state === 'string') return state === 'malformed' ? MALFORMED : NOTHING
    if (!isPlausible(ts, recvTs, this.#maxSkewMs)) return MISTIMED
    const fields = state.quote.merge(
      {
        bid: frame['best_bid'],
        bidSize: frame['best_bid_size'],
        ask: frame['best_ask'],
        askSize: frame['best_ask_size'],
        last: frame['price'],
        volume24h: frame['volume_24h'],
      },
      { ts: isTimed ? ts : undefined, sequence: readNumber(sequence) },
    )
    if (fields === 'older') this.#tally.counters.outOfOrder++
    if (typeof fields === 'string') return NOTHING
    const { exchange, symbol } = state.market
    return { kind: 'quote', quote: { exchange, symbol, ...fields, ts, recvTs } }
  }

  /** The state of a product's market, however the product is spelled; `nothing` where nobody asked for it. */
  #state(product: unknown): MarketState | 'malformed' | 'nothing' {
    if (typeof product !== 'string') return 'malformed'
    const known = this.#markets.get(product)
    if (known) {
      known.heard = true
      return known
    }
    const symbol = canonicalSymbol(product)
    if (symbol === undefined) return 'malformed'
    if (!this.#wants(symbol)) return 'nothing'
    const state = this.#markets.get(symbol) ?? {
      market: { exchange: EXCHANGE, symbol },
      order: new TradeOrder(),
      quote: new QuoteState(),
      heard: true,
    }
    state.heard = true
    this.#markets.set(symbol, state)
    return state
  }
}

function productsOf({ channels }: z.infer<typeof subscriptionsSchema>): readonly string[] | undefined {
  const named = channels.filter(({ name }) => name !== 'heartbeat')
  if (named.length > 0 && named.every(({ product_ids }) => product_ids === undefined)) return undefined
  return named.flatMap(({ product_ids = [] }) => product_ids)
}

/** `side` is the maker's: a maker who sold was hit by a taker who bought. */
const TAKER_SIDE: ReadonlyMap<unknown, 'buy' | 'sell'> = new Map([
  ['sell', 'buy'],
  ['buy', 'sell'],
])

function micros(time: unknown): number | undefined {
  return typeof time === 'string' ? parseIsoMicros(time) : undefined
}

function tradeId(frame: Fields, field: string, text: string): string | undefined {
  const id = frame[field]
  if (Number.isSafeInteger(id)) return (id as number) >= 0 ? String(id) : undefined
  return typeof id === 'number' ? exactDigits(text, field) : readId(id)
}
