import { isDeepStrictEqual } from 'node:util'
import { withFallback } from '../adapters/source/fallback-source.ts'
import type { FrameTap } from '../adapters/source/feed/frame-tap.ts'
import { listInstruments } from '../adapters/source/feed/instruments.ts'
import { openSource } from '../adapters/source/feed/open-source.ts'
import { addressesOf, type SourceKind, USUAL } from '../adapters/source/feed/source-kind.ts'
import { kindOf, SOURCES } from '../adapters/source/index.ts'
import { groupSources } from '../adapters/source/source-group.ts'
import { untilAborted } from '../async/abort.ts'
import { deadlineAfter } from '../async/timers.ts'
import { type Config, type ReachConfig, type SourceConfig, sourcesOf } from '../config.ts'
import { DEFAULT_MARKETS } from '../config-sources.ts'
import { marketKey } from '../domain/events.ts'
import type { Offer } from '../domain/offer.ts'
import { TapelineError } from '../errors.ts'
import type { Log } from '../ports/log.ts'
import type { Instrument, Market, Source } from '../ports/source.ts'
import { createMarketList, joinMarketLists, type MarketList } from './market-list.ts'

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

/** The market that the configuration writes as EXCHANGE:SYMBOL. */
export function toMarket(text: string): Market {
  const [exchange = '', symbol = ''] = text.split(/:(.*)/s)
  return { exchange: exchange.toLowerCase(), symbol }
}

/** A source, and the markets that it is to be asked for: each by the producer that owns its shard. */
export interface ChosenSource {
  readonly source: Source
  /** Left out where the source knows by itself what it gives. */
  readonly markets?: MarketList
}

/** What hears of the frames of one connection of a source: one by its name, of this kind. */
type TapOf = (source: {
  readonly name: string
  readonly source: string
  readonly markets: readonly Market[]
  readonly channels: readonly string[]
}) => FrameTap

/** The sources that the configuration names, as one, without markets as yet. Raises CONFIG_INVALID where one lacks what it needs. */
export async function createSource(config: Config, log: Log, tapOf?: TapOf): Promise<Required<ChosenSource>> {
  refuseUnusableSources(config)
  const members = await Promise.all(sourcesOf(config).map((each) => openOne(each, config, log, tapOf)))
  const [only] = members
  if (members.length === 1 && only !== undefined) return only
  const source = groupSources(members.map(({ source: each, markets: { has } }) => ({ source: each, has })))
  return { source, markets: joinMarketLists(members.map(({ markets }) => markets)) }
}

async function openOne(
  settings: SourceConfig,
  config: Config,
  log: Log,
  tapOf: TapOf | undefined,
): Promise<Required<ChosenSource>> {
  const names = marketsOf(settings)
  const wanted = names.map(toMarket)
  await refuseTwins(kindOf(settings), wanted)
  const markets = await openMarketList(settings, wanted, log.child({ source: kindOf(settings).name }))
  // A recording says at its beginning what it holds.
  if (tapOf !== undefined) await markets.refresh(deadlineAfter(USUAL.timeout))
  const exchanges = names.map((name) => name.slice(0, name.indexOf(':')))
  const open = (kind: SourceKind, own: ReachConfig): Promise<Source> => {
    const apiKey = sourceKey(own, config)
    const { channels, bookDepth, bookSnapshotEvery } = settings
    const asked = { ...own, channels, bookDepth, bookSnapshotEvery }
    const about = { name: kind.name, source: own.kind, channels }
    const openTap = tapOf && (() => tapOf({ ...about, markets: markets.current() }))
    const options = { settings: asked, exchanges, log, now: clockMicros, ...(openTap && { openTap }) }
    return openSource(kind, { ...options, ...(apiKey !== undefined && { apiKey }) })
  }
  const first = await open(kindOf(settings), settings)
  const { fallback } = settings
  if (fallback === undefined) return { source: first, markets }
  const kind = kindOf(fallback)
  const covers = coversOf(kind)
  const second = await open({ ...kind, name: fallbackName(settings) }, fallback)
  return { source: withFallback({ first, second, covers, afterMs: fallback.after }), markets }
}

/** Raises CONFIG_INVALID where an exchange has one name for two of the markets: each producer would take one of them for its own, and its trades would come twice. */
async function refuseTwins({ loadWire, title }: SourceKind, wanted: readonly Market[]): Promise<void> {
  const wire = await loadWire?.()
  const known = new Map<string, string>()
  for (const market of wire === undefined ? [] : wanted.filter(({ symbol }) => !symbol.includes('*'))) {
    const [name, key] = [wire?.nameOf(market.symbol) ?? '', marketKey(market)]
    const other = known.get(name)
    if (other !== undefined && other !== key) {
      const remedy = 'Take out the one that is not BASE-QUOTE; tapeline instruments lists what there is.'
      throw new TapelineError('CONFIG_INVALID', `${other} and ${key} are one market of ${title}: ${name}`, {
        remedy,
      })
    }
    known.set(name, key)
  }
}

const LIST_EVERY_MS = 60 * 60_000

/** Raises CONFIG_INVALID where a market has a star, and the source cannot say what there is. */
async function openMarketList(
  settings: SourceConfig,
  wanted: readonly Market[],
  log: Log,
): Promise<MarketList> {
  const everyMs = settings.listEvery ?? LIST_EVERY_MS
  const glob = wanted.find(({ symbol }) => symbol.includes('*'))
  // Who stands in for the service by an address has not said where its REST is.
  const isElsewhere = settings.url !== undefined && settings.restUrl === undefined
  const list = glob === undefined && isElsewhere ? undefined : await openListing(settings)
  if (list !== undefined) return createMarketList({ wanted, list, everyMs, log })
  if (glob === undefined) return createMarketList({ wanted, everyMs, log })
  const remedy = 'Name the markets; docs/sources.md says which sources tell what they trade.'
  const lack = `${marketKey(glob)} has a star, and the source ${settings.kind} does not tell what it trades`
  throw new TapelineError('CONFIG_INVALID', lack, { remedy })
}

/** Asks the exchange of a source what it trades; undefined where it does not tell. Raises what `listInstruments` does. */
export async function openListing(
  settings: Pick<ReachConfig, 'kind' | 'url' | 'restUrl' | 'timeout'> & {
    readonly exchange?: string | undefined
  },
): Promise<((signal: AbortSignal) => Promise<readonly Instrument[]>) | undefined> {
  const kind = kindOf(settings)
  const { list } = kind
  if (list !== undefined) return (signal) => untilAborted(list(settings), signal)
  const { rest } = addressesOf(kind, settings, undefined)
  const wire = await kind.loadInstruments?.()
  if (wire === undefined || rest === undefined) return undefined
  const timeoutMs = settings.timeout ?? USUAL.timeout
  return (signal) => listInstruments(wire, { rest, timeoutMs }, signal)
}

/** What the log, status events and alerts call the fallback of a source. */
export const fallbackName = (settings: Pick<SourceConfig, 'kind' | 'exchange'>): string =>
  `${kindOf(settings).name}-fallback`

/** The markets that a source is asked for, of its own exchanges. Raises CONFIG_INVALID where those that are configured are all others'. */
export function marketsOf(settings: SourceConfig): readonly string[] {
  const { kind, markets } = settings
  const { exchanges, usualMarkets = [], title } = kindOf(settings)
  if (exchanges === undefined) return markets
  const own = markets.filter((market) => exchanges.includes(toMarket(market).exchange))
  if (own.length > 0) return own
  if (isDeepStrictEqual(markets, DEFAULT_MARKETS))
    return exchanges.flatMap((exchange) => usualMarkets.map((symbol) => `${exchange}:${symbol}`))
  const remedy = `Set them to some such as ${exchanges[0]}:BTC-USD, or leave them out.`
  throw new TapelineError('CONFIG_INVALID', `the markets of the source ${kind} name none of ${title}`, {
    remedy,
  })
}

/** Raises CONFIG_INVALID where a source that the configuration names lacks what it needs: before anything is opened or made for it. */
export function refuseUnusableSources(config: Config): void {
  const settings = sourcesOf(config)
  checkMarkets(settings)
  for (const each of settings) {
    const { fallback } = each
    requireKey(each, config)
    if (fallback === undefined) continue
    if (
      !marketsOf(each)
        .map(toMarket)
        .some(coversOf(kindOf(fallback)))
    ) {
      const remedy = `Name a source that has them; docs/sources.md says what each one has.`
      const lack = `the fallback ${fallback.kind} of the source ${each.kind} has none of its markets`
      throw new TapelineError('CONFIG_INVALID', lack, { remedy })
    }
    requireKey(fallback, config)
  }
}

/** Whether a kind of source has a market. */
const coversOf =
  ({ exchanges }: SourceKind) =>
  ({ exchange }: Market): boolean =>
    exchanges?.includes(exchange) ?? true

function requireKey(settings: ReachConfig, config: Config): void {
  const { key }: SourceKind = SOURCES[settings.kind]
  if (key === undefined || sourceKey(settings, config)) return
  const lack = `the source ${settings.kind} needs a key, and ${key.variable} is not set`
  throw new TapelineError('CONFIG_INVALID', lack, { remedy: key.remedy })
}

/** Raises CONFIG_INVALID where a market is asked of two sources: each of its trades would come twice. */
function checkMarkets(sources: readonly SourceConfig[]): void {
  const kinds = new Map<string, string>()
  for (const settings of sources) {
    for (const market of marketsOf(settings)) {
      const key = marketKey(toMarket(market))
      const other = kinds.get(key)
      if (other !== undefined && other !== settings.kind) {
        const remedy = `Take it out of the markets of one of them.`
        throw new TapelineError(
          'CONFIG_INVALID',
          `${key} is asked of two sources, ${other} and ${settings.kind}`,
          { remedy },
        )
      }
      kinds.set(key, settings.kind)
    }
  }
}

/**
 * The key for a source: empty where one is needed and not there, undefined where none is needed. Another server than the
 * service's own takes any.
 */
export function sourceKey(
  { kind, url }: Pick<ReachConfig, 'kind' | 'url'>,
  { sourceKeys }: Pick<Config, 'sourceKeys'>,
): string | undefined {
  if (SOURCES[kind].key === undefined) return undefined
  return sourceKeys[kind] ?? (url === undefined ? '' : 'simulator')
}

/** What the sources give: of their markets, those that no service refuses. */
export function offerOf(source: Pick<Source, 'health'>, markets: MarketList, config: Config): Offer {
  const refused = new Set(source.health().without.map(marketKey))
  const names = markets
    .current()
    .map(marketKey)
    .filter((market) => !refused.has(market))
  const channels = sourcesOf(config).flatMap(({ kind, channels: asked }) =>
    asked.filter((channel) => SOURCES[kind].channels.includes(channel)),
  )
  return { channels: [...new Set(channels), 'status'], markets: names }
}
