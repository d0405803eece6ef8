import type { Trade } from '../../../domain/events.ts'
import { canonicalSymbol } from '../../../domain/market-names.ts'
import { isPlausible } from '../feed/event-time.ts'
import type { QuoteUpdate } from '../feed/quote-state.ts'
import type { Fault } from '../feed/tally.ts'
import { parseObject, readId } from '../feed/text.ts'
import { readPrice } from '../feed/values.ts'

export const EXCHANGE = 'tide'

export interface Ticker {
  readonly kind: 'ticker'
  readonly symbol: string
  readonly update: QuoteUpdate
  readonly ts: number
}

/** What one frame says. `neutral`: of the protocol, but nothing that we use. */
export type TideFrame =
  | { readonly kind: 'trade'; readonly trade: Trade }
  | Ticker
  | { readonly kind: 'taken'; readonly symbol: string }
  | { readonly kind: 'refused'; readonly symbol: string | undefined; readonly reason: string }
  | { readonly kind: 'heartbeat' | 'neutral' | Fault }

const SIDES: ReadonlyMap<unknown, Trade['side']> = new Map([
  ['buyer', 'buy'],
  ['seller', 'sell'],
])

/** Reads a frame. Never throws. `recvTs`: microseconds. */
export function readFrame(text: string, recvTs: number, maxSkewMs: number): TideFrame {
  const { type, market, reason, time, ...fields } = parseObject(text) ?? {}
  const symbol = typeof market === 'string' ? canonicalSymbol(market) : undefined
  if (typeof type !== 'string') return { kind: 'malformed' }
  if (type === 'alive') return { kind: 'heartbeat' }
  if (type === 'refused') return { kind: type, symbol, reason: typeof reason === 'string' ? reason : '' }
  if (!['taken', 'trade', 'ticker'].includes(type)) return { kind: 'neutral' }
  if (symbol === undefined) return { kind: 'malformed' }
  if (type === 'taken') return { kind: type, symbol }
  const ts = Number.isSafeInteger(time) ? (time as number) * 1_000 : Number.NaN
  if (Number.isNaN(ts)) return { kind: 'malformed' }
  if (!isPlausible(ts, recvTs, maxSkewMs)) return { kind: 'mistimed' }
  if (type === 'ticker') return { kind: type, symbol, update: fields, ts }
  const id = readId(fields['id'])
  const [price, size] = [readPrice(fields['price']), readPrice(fields['size'])]
  const side = SIDES.get(fields['taker'])
  if (id === undefined || price === undefined || size === undefined || !side) return { kind: 'malformed' }
  return { kind: 'trade', trade: { exchange: EXCHANGE, symbol, id, side, price, size, ts, recvTs } }
}
