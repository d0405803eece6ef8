import type { Log } from '../../ports/log.ts'
import type { Market, Source } from '../../ports/source.ts'
import { type CoinbaseChannel, CoinbaseProtocol } from './coinbase/protocol.ts'
import { parseAddress } from './feed/address.ts'
import { QUEUE_CAPACITY } from './feed/arrival-queue.ts'
import { MAX_SKEW_MS } from './feed/event-time.ts'
import { LiveSource } from './feed/live-source.ts'
import type { ReconnectTiming } from './feed/reconnect-pacer.ts'
import { redactor, secretsOf } from './feed/words.ts'

const NAME = 'coinbase'

/** The address of the service itself. */
export const COINBASE_WEBSOCKET = 'wss://ws-feed.exchange.coinbase.com'
const RECONNECT: ReconnectTiming = { firstMs: 1_000, maxMs: 60_000 }
const TIMEOUT_MS = 10_000
const DOWN_AFTER_MS = 10_000

/** A heartbeat comes every second for each product; a service that is late by a few is not gone. */
const STALE_AFTER_MS = 10_000

export interface CoinbaseOptions {
  readonly url?: string
  /** Their exchange is `coinbase`. */
  readonly markets: readonly Market[]
  readonly channels: readonly CoinbaseChannel[]
  readonly reconnect?: Partial<ReconnectTiming>
  /** How long a new connection has until it delivers. Milliseconds, as all that follow. */
  readonly timeoutMs?: number
  /** How long it may be without delivery before `next` says so. */
  readonly downAfterMs?: number
  readonly staleAfterMs?: number
  /** How far after its arrival the time of an event may lie. */
  readonly maxSkewMs?: number
  /** How many items are held while nobody pulls; the newest are dropped beyond it, with an `overflow` change at the hole. */
  readonly queueCapacity?: number
  readonly log: Log
  /** Microseconds since the epoch. */
  readonly now: () => number
}

/**
 * Coinbase Exchange's public WebSocket feed, without a key: trades and quotes. It begins to connect at once.
 * Raises CONFIG_INVALID where the address is none.
 */
export function createCoinbaseSource(options: CoinbaseOptions): Source {
  const { channels, now } = options
  const log = options.log.child({ source: NAME })
  const link = {
    address: parseAddress('url', options.url ?? COINBASE_WEBSOCKET, ['ws:', 'wss:']),
    reconnect: { ...RECONNECT, ...options.reconnect },
    connectTimeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    downAfterMs: options.downAfterMs ?? DOWN_AFTER_MS,
  }
  const redact = redactor(secretsOf(link.address))
  return new LiveSource(
    {
      name: NAME,
      link,
      staleAfterMs: options.staleAfterMs ?? STALE_AFTER_MS,
      queueCapacity: options.queueCapacity ?? QUEUE_CAPACITY,
      maxSkewMs: options.maxSkewMs ?? MAX_SKEW_MS,
      log,
      now,
      redact,
      ways: (outlet) => ({ protocol: new CoinbaseProtocol({ channels, outlet, redact }) }),
    },
    options.markets,
  )
}
