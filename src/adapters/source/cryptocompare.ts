import type { Log } from '../../ports/log.ts'
import type { Market, Source } from '../../ports/source.ts'
import { ExchangeDirectory } from './cryptocompare/exchange-directory.ts'
import { ExchangeNames } from './cryptocompare/exchange-names.ts'
import { CryptoCompareProtocol } from './cryptocompare/protocol.ts'
import { RestClient } from './cryptocompare/rest-client.ts'
import { RestPolling } from './cryptocompare/rest-polling.ts'
import { type CryptoCompareChannel, Subscriptions } from './cryptocompare/subscriptions.ts'
import { parseAddress } from './feed/address.ts'
import { QUEUE_CAPACITY } from './feed/arrival-queue.ts'
import { MAX_SKEW_MS } from './feed/event-time.ts'
import type { Outlet } from './feed/feed-protocol.ts'
import { LiveSource } from './feed/live-source.ts'
import type { ReconnectTiming } from './feed/reconnect-pacer.ts'
import { redactor, secretsOf } from './feed/words.ts'

const NAME = 'cryptocompare'

/** The addresses of the service itself, without the key. */
export const CRYPTOCOMPARE_WEBSOCKET = 'wss://streamer.cryptocompare.com/v2'
export const CRYPTOCOMPARE_REST = 'https://min-api.cryptocompare.com'

/** The service's own rules: at least 5 s between connects, a minute's wait after a refusal for too many. */
const RECONNECT: ReconnectTiming = { firstMs: 5_000, maxMs: 60_000 }

/** Two missed heartbeats of the slower of the two documented rhythms, and a little. */
const STALE_AFTER_MS = 135_000

const TIMEOUT_MS = 10_000
const FALLBACK_AFTER_MS = 10_000
const POLL_EVERY_MS = 10_000

export interface CryptoCompareOptions {
  /** WebSocket v2, without the key. */
  readonly url?: string
  /** The REST host, without `/data`. */
  readonly restUrl?: string
  /** Never logged and never part of an error. */
  readonly apiKey?: string
  readonly markets: readonly Market[]
  readonly channels: readonly CryptoCompareChannel[]
  /** Names of exchanges as the user wrote them: those that nobody knows are asked for like that. */
  readonly exchanges?: readonly string[]
  readonly reconnect?: Partial<ReconnectTiming>
  /** How long a new connection has until it delivers, and how long a REST call may take. Milliseconds, as all that follow. */
  readonly timeoutMs?: number
  /** How long the WebSocket may be without delivery before REST polling begins. */
  readonly fallbackAfterMs?: number
  /** Silence (no heartbeat, no data) that makes a connection stale; shorter where heartbeats come faster. */
  readonly staleAfterMs?: number
  readonly pollEveryMs?: number
  /** How far after its arrival the time of an event may lie. */
  readonly maxSkewMs?: number
  /** How many items are held while nobody pulls; the newest are dropped beyond it, with an `overflow` change at the hole. */
  readonly queueCapacity?: number
  readonly log: Log
  /** Microseconds since the epoch. */
  readonly now: () => number
}

/**
 * CryptoCompare over WebSocket v2; while that is down, quotes and candles over REST. It begins to connect at once.
 * Raises CONFIG_INVALID where an address is none.
 */
export function createCryptoCompareSource(options: CryptoCompareOptions): Source {
  const { apiKey, channels, now, timeoutMs = TIMEOUT_MS } = options
  const log = options.log.child({ source: NAME })
  const address = parseAddress('url', options.url ?? CRYPTOCOMPARE_WEBSOCKET, ['ws:', 'wss:'])
  const restAddress = parseAddress('restUrl', options.restUrl ?? CRYPTOCOMPARE_REST, ['http:', 'https:'])
  if (apiKey) address.searchParams.set('api_key', apiKey)
  const redact = redactor([apiKey ?? '', ...secretsOf(address), ...secretsOf(restAddress)])

  const ways = (outlet: Outlet) => {
    const client = new RestClient({ address: restAddress, apiKey, timeoutMs, redact })
    const names = new ExchangeNames(options.exchanges ?? [])
    const subscriptions = new Subscriptions(channels, names, outlet)
    const directory = new ExchangeDirectory({ client, names, log })
    const protocol = new CryptoCompareProtocol({ subscriptions, directory, outlet, redact })
    // REST has no trades: where nothing else is asked for, it cannot stand in.
    if (channels.every((channel) => channel === 'trades')) return { protocol }
    const pollEveryMs = options.pollEveryMs ?? POLL_EVERY_MS
    return {
      protocol,
      fallback: new RestPolling({ client, subscriptions, channels, outlet, pollEveryMs, log }),
    }
  }
  const link = {
    address,
    reconnect: { ...RECONNECT, ...options.reconnect },
    connectTimeoutMs: timeoutMs,
    downAfterMs: options.fallbackAfterMs ?? FALLBACK_AFTER_MS,
  }
  const staleAfterMs = options.staleAfterMs ?? STALE_AFTER_MS
  const queueCapacity = options.queueCapacity ?? QUEUE_CAPACITY
  const maxSkewMs = options.maxSkewMs ?? MAX_SKEW_MS
  return new LiveSource(
    { name: NAME, link, staleAfterMs, queueCapacity, maxSkewMs, log, now, redact, ways },
    options.markets,
  )
}
