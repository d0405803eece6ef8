import type { Channel } from './events.ts'
import { MOST_NEAR, nearest } from './near.ts'
import { symbolMatcher } from './routing.ts'
import type { StreamSpec } from './stream-spec.ts'

/** What a producer's source gives at present. */
export interface Offer {
  readonly channels: readonly Channel[]
  /** EXCHANGE:SYMBOL of each market; undefined where the source does not know it beforehand. */
  readonly markets?: readonly string[] | undefined
}

/** Something that a stream asks for and nobody gives at present, or (`from`) any more. It is no error: a market may come later. */
export interface StreamWarning {
  readonly field: 'channel' | 'exchanges' | 'symbols' | 'from'
  readonly value: string
  readonly message: string
  /** What is given and looks like it; empty where nothing does. */
  readonly near: readonly string[]
}

const MOST_WARNINGS = 20
/** For so many symbols it is said what is near to them: each is compared with all markets. */
const MOST_COMPARED = 5

/**
 * What of a spec no producer gives. `offers`: one for each live producer, undefined for a producer that does not say what it gives; then nobody
 * knows whether anything is missing.
 */
export function warningsOf(spec: StreamSpec, offers: readonly (Offer | undefined)[]): StreamWarning[] {
  const known = offers.filter((offer) => offer !== undefined)
  if (known.length < offers.length) return []
  if (known.length === 0) {
    const message = 'no producer is there at present: nothing comes until one runs'
    return [{ field: 'channel', value: spec.channel, message, near: [] }]
  }
  // A status is the platform's own, and names also what is no market.
  if (spec.channel === 'status') return []
  const warnings = channelWarnings(spec, known)
  // No further ones are looked for: each takes a look at all markets.
  for (const warning of marketWarnings(spec, known)) if (warnings.push(warning) >= MOST_WARNINGS) break
  return warnings
}

function channelWarnings({ channel }: StreamSpec, offers: readonly Offer[]): StreamWarning[] {
  const given = [...new Set(offers.flatMap(({ channels }) => channels))].sort()
  if (given.includes(channel)) return []
  const message = `no source gives this at present; what is given: ${given.join(', ')}`
  return [{ field: 'channel', value: channel, message, near: [] }]
}

function* marketWarnings(
  { exchanges, symbols }: StreamSpec,
  offers: readonly Offer[],
): Generator<StreamWarning> {
  if (offers.some(({ markets }) => markets === undefined)) return
  const markets = offers.flatMap((offer) => offer.markets ?? []).map(partsOf)
  const names = [...new Set(markets.map(({ exchange }) => exchange))]
  const missing = exchanges.filter((exchange) => !names.includes(exchange))
  for (const value of missing)
    yield { field: 'exchanges', value, message: 'no source has this exchange', near: nearest(value, names) }
  const asked = missing.length === exchanges.length ? [] : exchanges
  const within = markets.filter(({ exchange }) => asked.length === 0 || asked.includes(exchange))
  const given = new Set(within.map(({ symbol }) => symbol))
  let compared = 0
  for (const glob of symbols) {
    const warning = symbolWarning(glob, given, markets)
    if (warning === undefined) continue
    if (!warning.isNowhere || compared++ >= MOST_COMPARED) yield warning.told
    else yield { ...warning.told, near: nearest(glob, globsLike(glob, markets)) }
  }
}

interface MarketName {
  readonly exchange: string
  readonly symbol: string
}

function partsOf(market: string): MarketName {
  const colon = market.indexOf(':')
  return { exchange: market.slice(0, colon), symbol: market.slice(colon + 1) }
}

function symbolWarning(
  glob: string,
  given: ReadonlySet<string>,
  all: readonly MarketName[],
): { readonly told: StreamWarning; readonly isNowhere: boolean } | undefined {
  const matches = symbolMatcher(glob)
  if (given.has(glob)) return undefined
  if (glob.includes('*')) for (const symbol of given) if (matches(symbol)) return undefined
  const elsewhere = [...new Set(all.filter(({ symbol }) => matches(symbol)).map(({ exchange }) => exchange))]
  const warning = { field: 'symbols', value: glob } as const
  if (elsewhere.length > 0) {
    const message = `no exchange that was asked for has it, but ${elsewhere.slice(0, MOST_NEAR).join(', ')}`
    return { told: { ...warning, message, near: [] }, isNowhere: false }
  }
  const message = glob.includes('*') ? 'no market matches it at present' : 'no source has this market'
  return { told: { ...warning, message, near: [] }, isNowhere: true }
}

/** The names to compare with. What a star stands for in `BTC-*` and `*-USD` does not count. */
function globsLike(glob: string, markets: readonly MarketName[]): string[] {
  const symbols = markets.map(({ symbol }) => symbol)
  const like = glob.endsWith('-*')
    ? symbols.map((symbol) => `${symbol.slice(0, symbol.lastIndexOf('-'))}-*`)
    : glob.startsWith('*-')
      ? symbols.map((symbol) => `*-${symbol.slice(symbol.lastIndexOf('-') + 1)}`)
      : symbols
  return [...new Set(like)]
}
