import { UNIT_SECONDS, type Unit } from './candles.ts'
import type { WalkClock } from './clock.ts'
import type { Feeds } from './feeds.ts'
import { display, raw } from './full-ticker.ts'
import { historyCandles } from './history.ts'
import { type Instrument, round8 } from './instrument.ts'

/** An answer of the REST host: always JSON. */
export interface Answer {
  readonly status: number
  readonly body: object
}

/** Type of an error that comes as HTTP 200. */
const UNKNOWN_MARKET = 1
const BAD_PARAMETER = 2
const RATE_LIMIT = 99

const MOST_ROWS = 2_000

class RestError extends Error {
  readonly answer: Answer

  constructor(type: number, message: string, more: object = {}) {
    super(message)
    this.answer = {
      status: 200,
      body: {
        Response: 'Error',
        Message: message,
        HasWarning: false,
        Type: type,
        RateLimit: {},
        Data: {},
        ...more,
      },
    }
  }
}

type Route = (query: URLSearchParams, feeds: Feeds, clock: WalkClock) => object

const ROUTES: ReadonlyMap<string, Route> = new Map<string, Route>([
  ['/data/price', price],
  ['/data/pricemultifull', priceMultiFull],
  ['/data/v4/all/exchanges', allExchanges],
  ['/data/v2/histominute', histo('m')],
  ['/data/v2/histohour', histo('H')],
  ['/data/v2/histoday', histo('D')],
])

/** Answers a call of `min-api`; undefined where there is no such path. Errors of the service come as HTTP 200. */
export function answer(
  path: string,
  query: URLSearchParams,
  feeds: Feeds,
  clock: WalkClock,
): Answer | undefined {
  const route = ROUTES.get(path)
  if (!route) return undefined
  try {
    return { status: 200, body: route(query, feeds, clock) }
  } catch (error) {
    if (error instanceof RestError) return error.answer
    throw error
  }
}

/** Too many calls: HTTP 200, Type 99. */
export function rateLimited(made: object, max: object): Answer {
  return new RestError(RATE_LIMIT, 'You are over your rate limit please upgrade your account!', {
    RateLimit: { calls_made: made, max_calls: max },
  }).answer
}

/** No key or a bad one: HTTP 401. */
export function unauthorized(): Answer {
  const message = 'You need a valid auth key or api key to access this endpoint'
  return {
    status: 401,
    body: { Data: {}, Err: { type: 2, message, http_status_code: 401, frontend: 'min-api' } },
  }
}

function price(query: URLSearchParams, feeds: Feeds, clock: WalkClock): object {
  const base = required(query, 'fsym')
  const quotes = list(query, 'tsyms')
  const exchange = query.get('e') ?? 'CCCAGG'
  const found = quotes.flatMap((quote) => feeds.instrument(exchange, base, quote) ?? [])
  if (found.length === 0) throw unknownMarket(base, quotes[0] ?? '')
  return Object.fromEntries(
    found.map((instrument) => [instrument.quote, instrument.price(clock.virtual / 1000)]),
  )
}

function priceMultiFull(query: URLSearchParams, feeds: Feeds, clock: WalkClock): object {
  const bases = list(query, 'fsyms')
  const quotes = list(query, 'tsyms')
  const exchange = query.get('e') ?? 'CCCAGG'
  const found = bases.flatMap((base) =>
    quotes.flatMap((quote) => feeds.instrument(exchange, base, quote) ?? []),
  )
  if (found.length === 0) throw unknownMarket(bases[0] ?? '', quotes[0] ?? '')
  return {
    RAW: byPair(found, (each) => raw(each, clock)),
    DISPLAY: byPair(found, (each) => display(each, clock)),
  }
}

/** All exchanges with their pairs; `fsym` leaves those that have it. */
function allExchanges(query: URLSearchParams, feeds: Feeds): object {
  const base = query.get('fsym')
  const exchanges: Record<string, { isActive: boolean; pairs: Record<string, { tsyms: object }> }> = {}
  for (const market of feeds.markets) {
    if (base !== null && market.base !== base) continue
    const exchange = exchanges[market.market] ?? { isActive: true, pairs: {} }
    exchanges[market.market] = exchange
    const { tsyms } = exchange.pairs[market.base] ?? { tsyms: {} }
    exchange.pairs[market.base] = { tsyms: { ...tsyms, [market.quote]: {} } }
  }
  const envelope = { Response: 'Success', Message: '', HasWarning: false, Type: 100, RateLimit: {} }
  return { ...envelope, Data: { exchanges } }
}

function byPair(instruments: readonly Instrument[], value: (instrument: Instrument) => object): object {
  const pairs: Record<string, Record<string, object>> = {}
  for (const each of instruments) {
    const ofBase = pairs[each.base] ?? {}
    pairs[each.base] = ofBase
    ofBase[each.quote] = value(each)
  }
  return pairs
}

function histo(unit: Unit): Route {
  return (query, feeds, clock) => {
    const base = required(query, 'fsym')
    const quote = required(query, 'tsym')
    const instrument = feeds.instrument(query.get('e') ?? 'CCCAGG', base, quote)
    if (!instrument) throw unknownMarket(base, quote)
    const now = Math.floor(clock.wall / 1_000_000)
    const limit = whole(query, 'limit', unit === 'D' ? 30 : unit === 'H' ? 168 : 1_440, 1, MOST_ROWS)
    const aggregate = whole(query, 'aggregate', 1, 1, 30)
    const asked = whole(query, 'toTs', now, 0, Number.MAX_SAFE_INTEGER)
    const to = asked > now || asked <= 0 ? now : asked
    const candles = historyCandles(instrument, clock, { unit, to, count: limit + 1, aggregate })
    const rows = candles.map((candle) => ({
      time: candle.start,
      high: candle.high,
      low: candle.low,
      open: candle.open,
      volumefrom: round8(candle.volume),
      volumeto: round8(candle.volumeTo),
      close: candle.close,
      conversionType: 'direct',
      conversionSymbol: '',
    }))
    return {
      Response: 'Success',
      Message: '',
      HasWarning: false,
      Type: 100,
      RateLimit: {},
      Data: {
        Aggregated: aggregate > 1,
        TimeFrom: rows[0]?.time ?? to,
        TimeTo: rows.at(-1)?.time ?? to - (to % UNIT_SECONDS[unit]),
        Data: rows,
      },
    }
  }
}

function unknownMarket(base: string, quote: string): RestError {
  return new RestError(
    UNKNOWN_MARKET,
    `cccagg_or_exchange market does not exist for this coin pair (${base}-${quote})`,
  )
}

function required(query: URLSearchParams, name: string): string {
  const value = query.get(name)
  if (!value) throw new RestError(BAD_PARAMETER, `${name} is a required param.`, { ParamWithError: name })
  return value
}

function list(query: URLSearchParams, name: string): string[] {
  return required(query, name).split(',')
}

function whole(query: URLSearchParams, name: string, missing: number, least: number, most: number): number {
  const text = query.get(name)
  if (text === null) return missing
  const value = Number(text)
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RestError(
      BAD_PARAMETER,
      `${name} param is invalid. It must be a whole number from ${least} to ${most}.`,
      {
        ParamWithError: name,
      },
    )
  }
  return value
}
