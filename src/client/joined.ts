import type { Interval } from '../domain/events.ts'
import { parseMoment } from '../domain/moment.ts'
import { parseIsoMicros } from '../domain/time.ts'
import { marketsOf, rowsOf } from './history.ts'
import type { Address } from './http.ts'
import { createStream } from './stream.ts'
import type { End, Reset, StoredQuote, StoredTrade, StreamEvent } from './types.ts'

/** Channels whose stored rows are events of a stream too. */
type EventChannel = 'trade' | 'quote'

/** All events of some markets from a time on, or their candles. */
export interface JoinedRequest<C extends EventChannel | 'candle'> {
  readonly channel: C
  /** Symbols, or globs for those that have stored trades. */
  readonly symbols: readonly string[]
  readonly exchanges?: readonly string[]
  /** Event time, as the API takes it: ISO 8601, a date, a number since 1970, or how long ago (`30d`). */
  readonly from: string | number
  /** Of candles: how long each is; `1m` where it is left out. */
  readonly interval?: C extends 'candle' ? Interval : never
}

export type Joined<C extends EventChannel | 'candle'> = StreamEvent<C> | Reset | End

/** The database may be so far behind, and so much is read from both. The topics keep far more. Microseconds. */
export const OVERLAP = 10 * 60_000_000

const ROUTES = { trade: 'trades', quote: 'quotes' } as const

/** What tells an event from all others. */
const IDENTITY = {
  trade: ['exchange', 'symbol', 'id', 'price', 'size', 'ts'],
  quote: ['exchange', 'symbol', 'bid', 'bidSize', 'ask', 'askSize', 'last', 'volume24h', 'ts', 'recvTs'],
} as const

/**
 * What the database holds up to a seam some minutes ago, by event time, then a stream that begins before the seam and goes on live. Whatever
 * was published before that beginning is in the database by now; what is in both is known again by its identity and comes once. An event of
 * the stream that should be in the database and is not shows that this was too far behind: that is told as a reset.
 */
export async function* historyAndLive<C extends EventChannel>(
  address: Address,
  { channel, symbols, exchanges, from }: JoinedRequest<C>,
  signal: AbortSignal | undefined,
  overlap: number = OVERLAP,
): AsyncGenerator<Joined<C>> {
  const first = parseMoment(String(from).replace(/^-/, ''), 'first', Date.now())
  if (first === undefined) throw new TypeError(`from is no time: ${from}`)
  const seam = Date.now() * 1000 - overlap
  /** By market, what the history gave that the stream gives again. */
  const given = new Map<string, Set<string>>()
  const begin = Math.max(first, seam - overlap)
  if (first < seam) {
    const range = { from: String(first), to: String(seam - 1) }
    const found = await symbolsOf(address, symbols, signal)
    const sources = found.map((symbol) =>
      rowsOf<StoredTrade | StoredQuote>(address, ROUTES[channel], { symbol, ...range }, signal),
    )
    for await (const row of merged(sources)) {
      if (exchanges !== undefined && !exchanges.includes(row.exchange)) continue
      const event = eventOf(channel, row)
      if (event.recvTs >= begin - overlap) {
        const ofMarket = given.get(marketOf(event)) ?? new Set()
        given.set(marketOf(event), ofMarket.add(identityOf(channel, event)))
      }
      yield event
    }
  }
  const beginning = {
    ...{ channel, symbols, from: new Date(begin / 1000).toISOString() },
    ...(exchanges !== undefined && { exchanges }),
  }
  let isDoubted = false
  for await (const event of createStream<C, never>(address, channel, { request: beginning }, { signal })) {
    if (event.type === 'reset' || event.type === 'end') {
      yield event as Reset | End
      continue
    }
    const live = event as unknown as Timed & StreamEvent<C>
    if (live.ts < first) continue
    if (live.ts < seam) {
      if (given.get(marketOf(live))?.has(identityOf(channel, live))) continue
      if (!isDoubted && live.recvTs < seam) {
        isDoubted = true
        yield { type: 'reset', reason: 'the database was behind while it was read', cursor: '' }
      }
      // The stream gives the past of one shard after the other: a market tells nothing of the others.
    } else if (live.ts > seam + overlap) given.delete(marketOf(live))
    yield live
  }
}

interface Timed {
  readonly exchange: string
  readonly symbol: string
  readonly ts: number
  readonly recvTs: number
}

function marketOf({ exchange, symbol }: Pick<Timed, 'exchange' | 'symbol'>): string {
  return `${exchange}:${symbol}`
}

function identityOf(channel: EventChannel, event: object): string {
  const fields = event as Readonly<Record<string, unknown>>
  return IDENTITY[channel].map((name) => fields[name] ?? '').join(' ')
}

/** A stored row as the event that it was. */
function eventOf<C extends EventChannel>(channel: C, row: StoredTrade | StoredQuote): StreamEvent<C> & Timed {
  const present = Object.entries(row).filter(([, value]) => value !== null)
  const [ts, recvTs] = [row.ts, row.recvTs].map((time) => parseIsoMicros(time))
  return { type: channel, ...Object.fromEntries(present), ts, recvTs } as unknown as StreamEvent<C> & Timed
}

/** The symbols that are named, and the stored ones that match a glob, each once. */
export async function symbolsOf(
  address: Address,
  symbols: readonly string[],
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const found = symbols.filter((symbol) => !symbol.includes('*'))
  for (const glob of symbols.filter((symbol) => symbol.includes('*'))) {
    const markets = await marketsOf(address, { symbol: glob, stored: true }, signal)
    found.push(...markets.map(({ symbol }) => symbol))
  }
  return [...new Set(found.map((symbol) => symbol.toUpperCase()))]
}

/** Rows of several markets in the order of their times. */
export async function* merged<Row extends { readonly ts: string }>(
  sources: readonly AsyncIterable<Row>[],
): AsyncGenerator<Row> {
  const heads: { readonly rows: AsyncIterator<Row>; row: Row }[] = []
  for (const source of sources) {
    const rows = source[Symbol.asyncIterator]()
    const { value, done } = await rows.next()
    if (!done) heads.push({ rows, row: value })
  }
  for (;;) {
    const [first, ...others] = heads
    if (first === undefined) return
    const head = others.reduce((oldest, each) => (each.row.ts < oldest.row.ts ? each : oldest), first)
    yield head.row
    const { value, done } = await head.rows.next()
    if (done) heads.splice(heads.indexOf(head), 1)
    else head.row = value
  }
}
