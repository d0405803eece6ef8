import { z } from 'zod'
import type { Quote, Trade } from '../../../domain/events.ts'
import { parseIsoMicros } from '../../../domain/time.ts'
import type { Market } from '../../../ports/source.ts'
import { QuoteState } from '../feed/quote-state.ts'
import type { Tally } from '../feed/tally.ts'
import { TradeOrder } from '../feed/trade-order.ts'

export const EXCHANGE = 'coinbase'

const LONGEST_SYMBOL = 64
const LONGEST_ID = 128

const decimal = z
  .string()
  .regex(/^\d{1,30}(\.\d{1,30})?$/)
  .transform(Number)

const tickerSchema = z.object({
  price: decimal.optional(),
  best_bid: decimal.optional(),
  best_bid_size: decimal.optional(),
  best_ask: decimal.optional(),
  best_ask_size: decimal.optional(),
  volume_24h: decimal.optional(),
  time: z.string().optional(),
})

const subscriptionsSchema = z.object({ channels: z.array(z.object({ name: z.string() })) })

const errorSchema = z.object({ message: z.string().catch(''), reason: z.string().catch('') })

/**
 * What one frame says. `other`: of the protocol, but nothing that we use (Coinbase asks clients to pass over types that they do
 * not know). `nothing`: about a market that nobody asked for, or no change.
 */
export type CoinbaseFrame =
  | { readonly kind: 'trade'; readonly trade: Trade }
  | { readonly kind: 'quote'; readonly quote: Quote }
  | { readonly kind: 'subscriptions'; readonly channels: number }
  | { readonly kind: 'error'; readonly message: string }
  | { readonly kind: 'heartbeat' | 'nothing' | 'other' | 'malformed' }

interface MarketState {
  readonly market: Market
  readonly order: TradeOrder
  readonly quote: QuoteState
}

type Fields = Readonly<Record<string, unknown>>

const MALFORMED = { kind: 'malformed' } as const
const NOTHING = { kind: 'nothing' } as const

/**
 * Reads the frames of Coinbase Exchange's WebSocket feed, live or recorded: match and last_match are trades, ticker is a quote.
 * Format: https://docs.cdp.coinbase.com/exchange/websocket-feed/channels
 */
export class CoinbaseReader {
  readonly #wants: (symbol: string) => boolean
  readonly #tally: Tally
  readonly #markets = new Map<string, MarketState>()

  /** `wants` tells whether somebody asked for a symbol (BASE-QUOTE, upper case). */
  constructor(wants: (symbol: string) => boolean, tally: Tally) {
    this.#wants = wants
    this.#tally = tally
  }

  /** Forgets what it knows of a market. */
  forget(symbol: string): void {
    this.#markets.delete(symbol)
  }

  /** Never throws. `recvTs`: microseconds. */
  read(text: string, recvTs: number): CoinbaseFrame {
    const frame = parse(text)
    switch (frame?.['type']) {
      case 'match':
      case 'last_match':
        return this.#trade(frame, recvTs)
      case 'ticker':
        return this.#quote(frame, recvTs)
      case 'heartbeat':
        return { kind: 'heartbeat' }
      case 'subscriptions': {
        const parsed = subscriptionsSchema.safeParse(frame)
        return parsed.success ? { kind: 'subscriptions', channels: parsed.data.channels.length } : MALFORMED
      }
      case 'error': {
        const { message, reason } = errorSchema.parse(frame)
        return { kind: 'error', message: [message, reason].filter(Boolean).join(': ') }
      }
      default:
        return typeof frame?.['type'] === 'string' ? { kind: 'other' } : MALFORMED
    }
  }

  #trade(frame: Fields, recvTs: number): CoinbaseFrame {
    const price = positive(frame['price'])
    const size = positive(frame['size'])
    const id = tradeId(frame['trade_id'])
    const ts = micros(frame['time'])
    const side = TAKER_SIDE.get(frame['side'])
    if (price === undefined || size === undefined || !id || ts === undefined || !side) return MALFORMED
    const state = this.#state(frame['product_id'])
    if (!state) return typeof frame['product_id'] === 'string' ? NOTHING : MALFORMED
    const { exchange, symbol } = state.market
    state.order.see(id, ts, this.#tally)
    return { kind: 'trade', trade: { exchange, symbol, id, side, price, size, ts, recvTs } }
  }

  #quote(frame: Fields, recvTs: number): CoinbaseFrame {
    const parsed = tickerSchema.safeParse(frame)
    if (!parsed.success || typeof frame['product_id'] !== 'string') return MALFORMED
    const { price, best_bid, best_bid_size, best_ask, best_ask_size, volume_24h, time } = parsed.data
    const ts = time === undefined ? recvTs : micros(time)
    if (ts === undefined) return MALFORMED
    const state = this.#state(frame['product_id'])
    const fields = state?.quote.merge({
      ...(best_bid && { bid: best_bid }),
      ...(best_bid_size !== undefined && { bidSize: best_bid_size }),
      ...(best_ask && { ask: best_ask }),
      ...(best_ask_size !== undefined && { askSize: best_ask_size }),
      ...(price && { last: price }),
      ...(volume_24h !== undefined && { volume24h: volume_24h }),
    })
    return state && fields ? { kind: 'quote', quote: { ...state.market, ...fields, ts, recvTs } } : NOTHING
  }

  #state(product: unknown): MarketState | undefined {
    if (typeof product !== 'string' || product.length === 0 || product.length > LONGEST_SYMBOL)
      return undefined
    const known = this.#markets.get(product)
    if (known) return known
    const symbol = product.toUpperCase()
    if (!this.#wants(symbol)) return undefined
    const state = {
      market: { exchange: EXCHANGE, symbol },
      order: new TradeOrder(),
      quote: new QuoteState(),
    }
    this.#markets.set(product, state)
    return state
  }
}

/** `side` is the maker's: a maker who sold was hit by a taker who bought. */
const TAKER_SIDE: ReadonlyMap<unknown, 'buy' | 'sell'> = new Map([
  ['sell', 'buy'],
  ['buy', 'sell'],
])

function parse(text: string): Fields | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined
}

/** Prices and sizes come as decimal text. */
function positive(value: unknown): number | undefined {
  if (typeof value !== 'string' || !/^\d{1,30}(\.\d{1,30})?$/.test(value)) return undefined
  const number = Number(value)
  return number > 0 ? number : undefined
}

function micros(time: unknown): number | undefined {
  const ts = typeof time === 'string' ? parseIsoMicros(time) : undefined
  return ts !== undefined && ts >= 0 && Number.isSafeInteger(ts) ? ts : undefined
}

function tradeId(id: unknown): string | undefined {
  if (Number.isSafeInteger(id)) return String(id)
  return typeof id === 'string' && id.length <= LONGEST_ID ? id : undefined
}
