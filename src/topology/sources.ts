import { createCoinbaseSource } from '../adapters/source/coinbase.ts'
import { createCryptoCompareSource } from '../adapters/source/cryptocompare.ts'
import type { Config } from '../config.ts'
import { marketKey } from '../domain/events.ts'
import type { Offer } from '../domain/offer.ts'
import { TapelineError } from '../errors.ts'
import type { Log } from '../ports/log.ts'
import type { Market, Source } from '../ports/source.ts'

/** By how much a clock of this process may be behind the wall clock before it is set. */
const MOST_BEHIND_MS = 1_000

let origin = performance.timeOrigin

/**
 * Microseconds since the epoch: the wall clock at the start, then a clock that never steps back. It follows the wall clock where
 * that goes ahead, as after a sleep of the machine: else what arrives would seem to come from the future (R28).
 */
export function clockMicros(): number {
  const behind = Date.now() - origin - performance.now()
  if (behind > MOST_BEHIND_MS) origin += behind
  return Math.round((origin + performance.now()) * 1000)
}

function toMarket(text: string): Market {
  const [exchange = '', symbol = ''] = text.split(/:(.*)/s)
  return { exchange: exchange.toLowerCase(), symbol }
}

/** What sources call the feed of a channel. */
const FEEDS = { trade: 'trades', quote: 'quotes', candle: 'candles' } as const

/** The settings that are set; what is left out, the source decides by the rules of its service. */
function given<K extends string>(
  settings: Readonly<Record<K, number | undefined>>,
): Partial<Record<K, number>> {
  const set = Object.entries(settings).filter(([, value]) => value !== undefined)
  return Object.fromEntries(set) as Partial<Record<K, number>>
}

/** A source, and the markets that it is to be asked for: each by the producer that owns its shard. */
export interface ChosenSource {
  readonly source: Source
  /** Empty where the source knows by itself what it gives. */
  readonly markets: readonly Market[]
}

/** The source that the configuration names. Raises CONFIG_INVALID where it lacks what it needs. */
export function createSource(config: Config, log: Log): ChosenSource {
  const markets = config.source.markets.map(toMarket)
  switch (config.source.kind) {
    case 'coinbase':
      return {
        source: openSource(config, log),
        markets: markets.filter(({ exchange }) => exchange === 'coinbase'),
      }
    case 'cryptocompare':
      return { source: openSource(config, log), markets }
  }
}

/** What the source gives: of its markets, those that its service does not refuse. */
export function offerOf({ source, markets }: ChosenSource, config: Config): Offer {
  const refused = new Set(source.health().without.map(marketKey))
  const names = markets.map(marketKey).filter((market) => !refused.has(market))
  const { kind, channels } = config.source
  const given = channels.filter((channel) => kind !== 'coinbase' || channel !== 'candle')
  return { channels: [...given, 'status'], markets: names }
}

/** Opens it without markets: it connects when it is asked for the first. */
function openSource(config: Config, log: Log): Source {
  const { kind, url, restUrl, channels } = config.source
  const { reconnect, reconnectMax, timeout, staleAfter, fallbackAfter, pollEvery, maxSkew } = config.source
  const timing = {
    reconnect: given({ firstMs: reconnect, maxMs: reconnectMax }),
    ...given({ timeoutMs: timeout, staleAfterMs: staleAfter, maxSkewMs: maxSkew }),
  }
  switch (kind) {
    case 'coinbase':
      return createCoinbaseSource({
        ...(url === undefined ? {} : { url }),
        markets: [],
        channels: channels.filter((channel) => channel !== 'candle').map((channel) => FEEDS[channel]),
        ...timing,
        ...given({ downAfterMs: fallbackAfter }),
        log,
        now: clockMicros,
      })
    case 'cryptocompare':
      if (config.cryptoCompareKey === undefined && url === undefined) throw missingKey()
      return createCryptoCompareSource({
        ...(url === undefined ? {} : { url }),
        ...(restUrl === undefined ? {} : { restUrl }),
        apiKey: config.cryptoCompareKey ?? 'simulator',
        markets: [],
        channels: channels.map((channel) => FEEDS[channel]),
        exchanges: config.source.markets.map((market) => market.slice(0, market.indexOf(':'))),
        ...timing,
        ...given({ fallbackAfterMs: fallbackAfter, pollEveryMs: pollEvery }),
        log,
        now: clockMicros,
      })
  }
}

function missingKey(): TapelineError {
  return new TapelineError(
    'CONFIG_INVALID',
    'the source cryptocompare needs a key, and CRYPTOCOMPARE_API_KEY is not set',
    {
      remedy:
        'Set CRYPTOCOMPARE_API_KEY; or use Coinbase without a key (--live); or a simulator (tapeline simulate, then --simulator URL).',
    },
  )
}
