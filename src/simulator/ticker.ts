import { Aggregate } from './aggregate.ts'
import { type Candle, merged, periodStart } from './candles.ts'
import type { WalkClock } from './clock.ts'
import { SharedFeed } from './feed.ts'
import { jsonFrame } from './frame.ts'
import { empty, historyCandle } from './history.ts'
import { type Instrument, round8 } from './instrument.ts'
import { ASSETS } from './markets.ts'

/** The fields of a ticker that have a value, without those that name it. */
export type TickerFields = Record<string, number | string>

const UP = 1
const DOWN = 2
const UNCHANGED = 4

/** How far the three bits of a field are shifted in FLAGS. */
const FLAG_SHIFTS: Readonly<Record<string, number>> = { PRICE: 0, BID: 3, ASK: 6, MEDIAN: 9 }

const HOUR = 3_600

/** The ticker of a market (TYPE 2) or of an aggregate (TYPE 5): a full snapshot, then the fields that changed. */
export class TickerFeed extends SharedFeed {
  readonly #instrument: Instrument
  readonly #clock: WalkClock
  #sent: TickerFields | undefined

  constructor(instrument: Instrument, clock: WalkClock) {
    super()
    this.#instrument = instrument
    this.#clock = clock
  }

  first(): string {
    // While somebody follows, a newcomer gets the state that the next change is a change of.
    if (!this.subscribed || !this.#sent) this.#sent = tickerFields(this.#instrument, this.#clock)
    return this.#frame(tickerFlags(this.#sent, this.#sent), this.#sent)
  }

  update(): string {
    const now = tickerFields(this.#instrument, this.#clock)
    const before = this.#sent ?? {}
    const changed = Object.fromEntries(
      Object.entries(now).filter(([field, value]) => before[field] !== value),
    )
    this.#sent = now
    if (Object.keys(changed).length === 0) return ''
    return this.#frame(tickerFlags(before, now), changed)
  }

  #frame(flags: number, fields: TickerFields): string {
    const { market, base, quote } = this.#instrument
    const type = tickerType(this.#instrument)
    return jsonFrame({
      TYPE: type,
      MARKET: market,
      FROMSYMBOL: base,
      TOSYMBOL: quote,
      FLAGS: flags,
      ...fields,
    })
  }
}

/** TYPE of an instrument's ticker. */
export function tickerType(instrument: Instrument): '2' | '5' {
  return instrument instanceof Aggregate ? '5' : '2'
}

/** Which way PRICE, BID, ASK and MEDIAN moved, for those that the ticker has. */
export function tickerFlags(before: TickerFields, now: TickerFields): number {
  let flags = 0
  for (const [field, shift] of Object.entries(FLAG_SHIFTS)) {
    const [from, to] = [before[field], now[field]]
    if (typeof to !== 'number') continue
    let move = UNCHANGED
    if (typeof from === 'number' && to > from) move = UP
    else if (typeof from === 'number' && to < from) move = DOWN
    flags |= move << shift
  }
  return flags
}

/** All fields of the ticker as they are now. */
export function tickerFields(instrument: Instrument, clock: WalkClock): TickerFields {
  const seconds = clock.virtual / 1000
  const wall = Math.floor(clock.wall / 1_000_000)
  const price = instrument.price(seconds)
  const hourStart = periodStart('H', wall)
  const hour = instrument.candles.at('H', hourStart) ?? empty(hourStart, price)
  const day = instrument.candles.at('D', periodStart('D', wall)) ?? empty(hourStart, price)
  const whole = merged(hoursBefore(instrument, clock, hourStart), hour)
  const last = instrument.last
  const best = instrument.best(seconds)
  return {
    PRICE: price,
    ...(best && { BID: best.bid, ASK: best.ask }),
    LASTUPDATE: last ? Math.floor(last.trade.ts / 1_000_000) : wall,
    ...(instrument instanceof Aggregate && { MEDIAN: instrument.median(seconds) }),
    LASTVOLUME: last?.trade.size ?? 0,
    LASTVOLUMETO: last?.trade.total ?? 0,
    ...(last && { LASTTRADEID: last.trade.id }),
    ...window('HOUR', hour),
    ...window('DAY', day),
    ...window('24HOUR', whole),
    ...(instrument instanceof Aggregate && aggregateFields(instrument, price, whole)),
  }
}

function window(name: string, candle: Candle): TickerFields {
  return {
    [`VOLUME${name}`]: round8(candle.volume),
    [`VOLUME${name}TO`]: round8(candle.volumeTo),
    [`OPEN${name}`]: candle.open,
    [`HIGH${name}`]: candle.high,
    [`LOW${name}`]: candle.low,
  }
}

function aggregateFields(aggregate: Aggregate, price: number, day: Candle): TickerFields {
  const asset = ASSETS[aggregate.base]
  const supply = asset?.supply ?? 0
  const most = asset?.maxSupply ?? -1
  return {
    LASTMARKET: aggregate.last?.market ?? 'Coinbase',
    TOPTIERVOLUME24HOUR: round8(day.volume),
    TOPTIERVOLUME24HOURTO: round8(day.volumeTo),
    CURRENTSUPPLY: supply,
    CURRENTSUPPLYMKTCAP: round8(supply * price),
    CIRCULATINGSUPPLY: supply,
    CIRCULATINGSUPPLYMKTCAP: round8(supply * price),
    MAXSUPPLY: most,
    MAXSUPPLYMKTCAP: most === -1 ? -1 : round8(most * price),
    MKTCAPPENALTY: 0,
  }
}

/** The 23 hours before this one change once an hour, and when the market begins. */
const hoursCache = new WeakMap<Instrument, { readonly key: string; readonly whole: Candle }>()

function hoursBefore(instrument: Instrument, clock: WalkClock, hourStart: number): Candle {
  const key = `${hourStart} ${instrument.since}`
  const cached = hoursCache.get(instrument)
  if (cached?.key === key) return cached.whole
  const whole = Array.from({ length: 23 }, (_, i) =>
    historyCandle(instrument, clock, 'H', hourStart - (23 - i) * HOUR),
  ).reduce(merged)
  hoursCache.set(instrument, { key, whole })
  return whole
}
