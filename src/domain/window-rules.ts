import { cutBook, foldBook } from './book-levels.ts'
import {
  type Book,
  type Channel,
  type EventOf,
  marketKey,
  type StreamInterval,
  type Trade,
} from './events.ts'
import { eventTime, type WindowRule } from './open-windows.ts'
import { isBeyond, isNumericId } from './trade-identity.ts'

/** Conflation: the latest event of each market in each period. Of events of one time the last in the log counts. */
export function latestOfPeriod(length: number, lateness: number): WindowRule {
  return {
    ...{ length, lateness, since: Number.NEGATIVE_INFINITY },
    keyOf: (event) => (isCandle(event) ? `${marketKey(event)}:${event.interval}` : marketKey(event)),
    // A candle tells its start, and not when it came: it counts when it stands in the log.
    timeOf: (event, before) => (isCandle(event) ? Math.max(event.ts, before) : event.ts),
    begin: (event) => event,
    add: (window, event) => (isCandle(event) || event.ts >= (window as EventOf[Channel]).ts ? event : window),
    close: (window) => window as EventOf[Channel],
  }
}

/** The best levels of each market's book at the end of each period in which it changed, or that it is in doubt then. */
export function levelsOfPeriod(depth: number, length: number, lateness: number): WindowRule {
  return {
    ...{ length, lateness, since: Number.NEGATIVE_INFINITY, isChained: true },
    keyOf: marketKey,
    // Its records follow each other in the log alone: one whose time goes back counts when it stands there.
    timeOf: (event, before) => Math.max(eventTime(event), before),
    begin: (event, former) => foldBook(former as Book | undefined, event as Book),
    add: (window, event) => foldBook(window as Book, event as Book),
    close: (window) => cutBook(window as Book, depth),
  }
}

function isCandle(event: EventOf[Channel]): event is EventOf['candle'] {
  return 'interval' in event
}

/** A place among the trades of a market: of those at one time the id counts where it is a number, else the arrival. */
type Place = readonly [ts: number, id: string, recvTs: number]

/** A candle that is not closed yet. */
interface OpenCandle {
  readonly open: number
  readonly high: number
  readonly low: number
  readonly close: number
  readonly volume: number
  readonly trades: number
  readonly first: Place
  readonly last: Place
}

const NO_TRADE: Place = [0, '', 0]

/**
 * Candles of trades. Open and close are those of the aggregates in the database (`ARRIVAL_ORDER`). `isFilled`: a period without trades has a
 * candle at the former close. `since`: periods that begin before have none, in microseconds.
 */
export function candlesOfTrades(
  interval: StreamInterval,
  length: number,
  lateness: number,
  isFilled: boolean,
  since: number,
): WindowRule {
  return {
    ...{ length, lateness, since },
    keyOf: marketKey,
    timeOf: (event) => event.ts,
    begin(event) {
      const { price, size, ...trade } = event as Trade
      const place = placeOf(trade)
      const prices = { open: price, high: price, low: price, close: price }
      return { ...prices, volume: size, trades: 1, first: place, last: place } satisfies OpenCandle
    },
    add(window, event) {
      const candle = window as OpenCandle
      const { price, size, ...trade } = event as Trade
      const place = placeOf(trade)
      const isFirst = isBefore(place, candle.first)
      const isLast = !isBefore(place, candle.last)
      return {
        open: isFirst ? price : candle.open,
        high: Math.max(candle.high, price),
        low: Math.min(candle.low, price),
        close: isLast ? price : candle.close,
        volume: candle.volume + size,
        trades: candle.trades + 1,
        first: isFirst ? place : candle.first,
        last: isLast ? place : candle.last,
      } satisfies OpenCandle
    },
    close(window, { exchange, symbol, start }) {
      const { open, high, low, close, volume, trades } = window as OpenCandle
      const values = { open, high, low, close, volume, trades }
      return { exchange, symbol, interval, ...values, ts: start, closed: true, origin: 'trades' }
    },
    ...(isFilled && {
      fill(former) {
        const { close } = former as OpenCandle
        const prices = { open: close, high: close, low: close, close }
        return { ...prices, volume: 0, trades: 0, first: NO_TRADE, last: NO_TRADE } satisfies OpenCandle
      },
    }),
  }
}

function placeOf({ ts, id, recvTs }: Pick<Trade, 'ts' | 'id' | 'recvTs'>): Place {
  return [ts, id, recvTs]
}

function isBefore([ts, id, recvTs]: Place, [otherTs, otherId, otherRecvTs]: Place): boolean {
  if (ts !== otherTs) return ts < otherTs
  const isNumber = isNumericId(id)
  if (isNumber !== isNumericId(otherId)) return isNumber
  if (isNumber) return isBeyond(otherId, id)
  return recvTs === otherRecvTs ? id < otherId : recvTs < otherRecvTs
}
