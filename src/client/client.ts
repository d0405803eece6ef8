import type { Channel } from '../domain/events.ts'
import { bookOf, gapsOf, marketsOf, type Rows, rowsOf } from './history.ts'
import { type Address, call } from './http.ts'
import { historyAndLive, type JoinedRequest } from './joined.ts'
import { candlesAndLive } from './joined-candles.ts'
import { createStream, type Stream } from './stream.ts'
import type {
  CandlesQuery,
  End,
  FieldOf,
  GapsQuery,
  KnownMarket,
  MarketsQuery,
  NewWebhook,
  OrderBook,
  Reset,
  RowsQuery,
  Slow,
  StoredCandle,
  StoredGap,
  StoredQuote,
  StoredTrade,
  StreamChange,
  StreamEvent,
  StreamInfo,
  StreamRequest,
  Webhook,
  WebhookRequest,
} from './types.ts'

export interface ClientOptions {
  /** Where the platform is; left out: where the page came from, outside of a browser http://127.0.0.1:8080. */
  readonly url?: string
  /** The key of the application, where the platform has keys. */
  readonly key?: string
}

/** How long something goes on: an abort ends a loop with the signal's reason. */
interface Until {
  readonly signal?: AbortSignal
}

/** How a stream is read. */
interface Reading extends Until {
  /** Left out: `catch-up`. */
  readonly slow?: Slow
}

/** A stream that is there already, and the place to go on from; without a cursor with what comes next. */
export interface ResumeRequest<C extends Channel, F extends FieldOf<C>> {
  readonly channel: C
  readonly stream: string
  readonly cursor?: string
  /** As the stream was made. */
  readonly fields?: readonly F[]
}

/** The streams of the application. */
export interface StreamsApi {
  create<C extends Channel>(request: StreamRequest<C>, until?: Until): Promise<StreamInfo>
  list(until?: Until): Promise<readonly StreamInfo[]>
  get(id: string, until?: Until): Promise<StreamInfo>
  /** Moves a stream to another request: what is given takes the place of what there is. Loops that read it go on. */
  modify(id: string, change: StreamChange, until?: Until): Promise<StreamInfo>
  delete(id: string, until?: Until): Promise<void>
}

/** The webhooks of the application. */
export interface WebhooksApi {
  create(request: WebhookRequest, until?: Until): Promise<NewWebhook>
  list(until?: Until): Promise<readonly Webhook[]>
  get(id: string, until?: Until): Promise<Webhook>
  pause(id: string, until?: Until): Promise<Webhook>
  resume(id: string, until?: Until): Promise<Webhook>
  delete(id: string, until?: Until): Promise<void>
}

/** A platform as an application uses it. Whatever the platform refuses is an ApiError. */
export interface Client {
  /** Makes a stream for the loop that reads it. */
  stream<const C extends Channel, const F extends FieldOf<C> = FieldOf<C>>(
    request: StreamRequest<C, F>,
    reading?: Reading,
  ): Stream<C, F>
  /** Reads a stream that is there, from a cursor that was stored. */
  resume<const C extends Channel, const F extends FieldOf<C> = FieldOf<C>>(
    request: ResumeRequest<C, F>,
    reading?: Reading,
  ): Stream<C, F>
  /** All events from a time on, however long ago: stored ones, then live ones, without a hole or a repeat. */
  since<const C extends 'trade' | 'quote' | 'candle'>(
    request: JoinedRequest<C>,
    until?: Until,
  ): AsyncIterable<StreamEvent<C> | Reset | End>
  trades(query: RowsQuery, until?: Until): Rows<StoredTrade>
  quotes(query: RowsQuery, until?: Until): Rows<StoredQuote>
  candles(query: CandlesQuery, until?: Until): Rows<StoredCandle>
  /** The markets that are stored, and those that the exchanges of the sources list. */
  markets(query?: MarketsQuery, until?: Until): Promise<readonly KnownMarket[]>
  /** The gaps that were flagged, the latest first. */
  gaps(query?: GapsQuery, until?: Until): Promise<readonly StoredGap[]>
  /** The order book of a market now. Raises ApiError where there is none, or where it is in doubt. */
  book(
    market: { readonly exchange: string; readonly symbol: string; readonly depth?: number },
    until?: Until,
  ): Promise<OrderBook>
  readonly streams: StreamsApi
  readonly webhooks: WebhooksApi
}

/** A client of a platform. It holds nothing open by itself: each loop has a connection of its own. */
export function createClient({ url = usualUrl(), key }: ClientOptions = {}): Client {
  const address: Address = { url: url.replace(/\/+$/, ''), key }
  const hookOf = (id: string) => `/v1/webhooks/${encodeURIComponent(id)}`
  const pathOf = (id: string) => `/v1/streams/${encodeURIComponent(id)}`
  return {
    stream: (request, reading = {}) => createStream(address, request.channel, { request }, reading),
    resume: ({ channel, stream, cursor }, reading = {}) =>
      createStream(address, channel, { stream, cursor }, reading),
    since: <C extends 'trade' | 'quote' | 'candle'>(request: JoinedRequest<C>, { signal }: Until = {}) =>
      (isOfCandles(request)
        ? candlesAndLive(address, request, signal)
        : historyAndLive(address, request as JoinedRequest<'trade' | 'quote'>, signal)) as AsyncIterable<
        StreamEvent<C> | Reset | End
      >,
    trades: (query, { signal } = {}) => rowsOf(address, 'trades', query, signal),
    quotes: (query, { signal } = {}) => rowsOf(address, 'quotes', query, signal),
    candles: (query, { signal } = {}) => rowsOf(address, 'candles', query, signal),
    markets: (query = {}, { signal } = {}) => marketsOf(address, query, signal),
    gaps: (query = {}, { signal } = {}) => gapsOf(address, query, signal),
    book: (market, { signal } = {}) => bookOf(address, market, signal),
    streams: {
      create: (body, { signal } = {}) => call(address, '/v1/streams', { method: 'POST', body, signal }),
      async list({ signal } = {}) {
        return (await call<{ streams: readonly StreamInfo[] }>(address, '/v1/streams', { signal })).streams
      },
      get: (id, { signal } = {}) => call(address, pathOf(id), { signal }),
      modify: (id, body, { signal } = {}) => call(address, pathOf(id), { method: 'PATCH', body, signal }),
      delete: (id, { signal } = {}) => call(address, pathOf(id), { method: 'DELETE', signal }),
    },
    webhooks: {
      create: (body, { signal } = {}) => call(address, '/v1/webhooks', { method: 'POST', body, signal }),
      async list({ signal } = {}) {
        return (await call<{ webhooks: readonly Webhook[] }>(address, '/v1/webhooks', { signal })).webhooks
      },
      get: (id, { signal } = {}) => call(address, hookOf(id), { signal }),
      pause: (id, { signal } = {}) => call(address, `${hookOf(id)}/pause`, { method: 'POST', signal }),
      resume: (id, { signal } = {}) => call(address, `${hookOf(id)}/resume`, { method: 'POST', signal }),
      delete: (id, { signal } = {}) => call(address, hookOf(id), { method: 'DELETE', signal }),
    },
  }
}

function isOfCandles(request: { readonly channel: Channel }): request is JoinedRequest<'candle'> {
  return request.channel === 'candle'
}

/** A page's own origin; a page of a file has none. */
function usualUrl(): string {
  const { location } = globalThis as { readonly location?: { readonly origin: string } }
  return location?.origin?.startsWith('http') ? location.origin : 'http://127.0.0.1:8080'
}
