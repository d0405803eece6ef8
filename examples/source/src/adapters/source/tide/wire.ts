import type { Trade } from '../../../domain/events.ts'
import type { ExchangeWire, WireItem } from '../feed/exchange-wire.ts'
import { parseJson } from '../feed/text.ts'
import { type Fields, fieldsOf, microsOfEpoch, textOf } from '../feed/wire-fields.ts'

const SIDES: ReadonlyMap<unknown, Trade['side']> = new Map([
  ['buyer', 'buy'],
  ['seller', 'sell'],
])

/** Tide's WebSocket: each market is asked for by itself, and the answer names it. */
export const tideWire: ExchangeWire = {
  exchange: 'tide',
  nameOf: (symbol) => symbol,
  mostNames: 1,
  framesPerSecond: 10,
  ask: (operation, markets, channels) =>
    markets.map((market) =>
      JSON.stringify({ op: operation === 'subscribe' ? 'add' : 'drop', market, channels }),
    ),
  read(text) {
    const frame = fieldsOf(parseJson(text))
    return [READERS.get(frame['type'])?.(frame) ?? otherwise(frame)]
  },
}

const READERS: ReadonlyMap<unknown, (frame: Fields) => WireItem> = new Map([
  ['trade', readTrade],
  ['ticker', readTicker],
  ['taken', ({ market: name }: Fields): WireItem => ({ kind: 'taken', name })],
  [
    'refused',
    ({ market: name, reason }: Fields): WireItem => ({ kind: 'refused', name, words: textOf(reason) }),
  ],
  ['alive', (): WireItem => ({ kind: 'heartbeat' })],
])

function readTrade({ market: name, id, taker, price, size, time }: Fields): WireItem {
  return { kind: 'trade', name, id, side: SIDES.get(taker), price, size, ts: microsOfEpoch(time) }
}

function readTicker({ market: name, time, ...update }: Fields): WireItem {
  return { kind: 'quote', name, update, ts: microsOfEpoch(time) }
}

/** Types that nobody knows yet are passed over. */
function otherwise({ type }: Fields): WireItem {
  return { kind: typeof type === 'string' ? 'neutral' : 'malformed' }
}
