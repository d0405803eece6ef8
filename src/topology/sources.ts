import { openSource } from '../adapters/source/feed/open-source.ts'
import { SOURCES } from '../adapters/source/index.ts'
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

/** A source, and the markets that it is to be asked for: each by the producer that owns its shard. */
export interface ChosenSource {
  readonly source: Source
  /** Empty where the source knows by itself what it gives. */
  readonly markets: readonly Market[]
}

/** The source that the configuration names, without markets as yet. Raises CONFIG_INVALID where it lacks what it needs. */
export async function createSource(config: Config, log: Log): Promise<ChosenSource> {
  const kind = SOURCES[config.source.kind]
  const apiKey = sourceKey(config)
  if (kind.key && !apiKey) {
    const { variable, remedy } = kind.key
    const lack = `the source ${kind.name} needs a key, and ${variable} is not set`
    throw new TapelineError('CONFIG_INVALID', lack, { remedy })
  }
  const exchanges = config.source.markets.map((market) => market.slice(0, market.indexOf(':')))
  const options = { settings: config.source, exchanges, log, now: clockMicros }
  const source = await openSource(kind, { ...options, ...(apiKey !== undefined && { apiKey }) })
  const markets = config.source.markets.map(toMarket)
  return { source, markets: markets.filter(({ exchange }) => kind.exchanges?.includes(exchange) ?? true) }
}

/**
 * The key for the source: empty where one is needed and not there, undefined where none is needed. Another server than the
 * service's own takes any.
 */
export function sourceKey({ source, sourceKeys }: Config): string | undefined {
  if (SOURCES[source.kind].key === undefined) return undefined
  return sourceKeys[source.kind] ?? (source.url === undefined ? '' : 'simulator')
}

/** What the source gives: of its markets, those that its service does not refuse. */
export function offerOf({ source, markets }: ChosenSource, config: Config): Offer {
  const refused = new Set(source.health().without.map(marketKey))
  const names = markets.map(marketKey).filter((market) => !refused.has(market))
  const { channels } = SOURCES[config.source.kind]
  return {
    channels: [...config.source.channels.filter((channel) => channels.includes(channel)), 'status'],
    markets: names,
  }
}
