import { type Candle, periodStart, UNIT_SECONDS, type Unit } from './candles.ts'
import type { WalkClock } from './clock.ts'
import { SharedFeed } from './feed.ts'
import { jsonFrame } from './frame.ts'
import { empty } from './history.ts'
import { type Instrument, round8 } from './instrument.ts'

/** ACTION: a new period with trades, a change of a known one, or the first sight of one (also an empty one). */
type Action = 'A' | 'U' | 'I'

/**
 * TYPE 24: the candle that is forming, each time it has changed; the last state of a period comes before the next
 * period begins.
 */
export class CandleFeed extends SharedFeed {
  readonly #instrument: Instrument
  readonly #clock: WalkClock
  readonly #unit: Unit
  /** The candle last sent. */
  #sent: Candle | undefined

  constructor(instrument: Instrument, clock: WalkClock, unit: Unit) {
    super()
    this.#instrument = instrument
    this.#clock = clock
    this.#unit = unit
  }

  first(): string {
    if (!this.subscribed || !this.#sent) this.#sent = this.#current()
    return this.#frame('I', this.#sent)
  }

  update(): string {
    const current = this.#current()
    const before = this.#sent
    this.#sent = current
    if (before === undefined) return this.#frame('I', current)
    if (current.start === before.start)
      return current.trades === before.trades ? '' : this.#frame('U', current)
    const last = this.#instrument.candles.at(this.#unit, before.start)
    const ended = last && last.trades !== before.trades ? this.#frame('U', last) : ''
    return ended + this.#frame(current.trades > 0 ? 'A' : 'I', current)
  }

  #current(): Candle {
    const { candles, last } = this.#instrument
    const start = periodStart(this.#unit, Math.floor(this.#clock.wall / 1_000_000))
    const price = last?.trade.price ?? this.#instrument.price(this.#clock.virtual / 1000)
    return candles.at(this.#unit, start) ?? empty(start, price)
  }

  #frame(action: Action, candle: Candle): string {
    const { market, base, quote } = this.#instrument
    return jsonFrame({
      TYPE: '24',
      MARKET: market,
      FROMSYMBOL: base,
      TOSYMBOL: quote,
      TS: candle.start,
      UNIT: this.#unit,
      ACTION: action,
      OPEN: candle.open,
      HIGH: candle.high,
      LOW: candle.low,
      CLOSE: candle.close,
      VOLUMEFROM: round8(candle.volume),
      VOLUMETO: round8(candle.volumeTo),
      TOTALTRADES: candle.trades,
      ...(candle.trades > 0 && {
        FIRSTTS: Math.floor(candle.firstTs / 1_000_000),
        LASTTS: Math.floor(candle.lastTs / 1_000_000),
        FIRSTPRICE: candle.open,
        MAXPRICE: candle.high,
        MINPRICE: candle.low,
        LASTPRICE: candle.close,
      }),
    })
  }
}

/** The unit at the end of a subscription; minutes where none stands. */
export function unitOf(text: string | undefined): Unit | undefined {
  if (text === undefined) return 'm'
  return (Object.keys(UNIT_SECONDS) as Unit[]).find((unit) => unit === text)
}
