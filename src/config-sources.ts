import { z } from 'zod'
import { FEED_CHANNELS, type SourceKind, USUAL_BOOK_DEPTH } from './adapters/source/feed/source-kind.ts'
import { SOURCE_NAMES, SOURCES } from './adapters/source/index.ts'
import { webAddress } from './config-network.ts'
import { count, duration, entriesOf, list, sourceDuration } from './config-values.ts'
import { parseMarkets } from './domain/market-names.ts'
import { didYouMean } from './domain/near.ts'

/**
 * Markets as the configuration writes them, EXCHANGE:SYMBOL or EXCHANGE:GLOB in any case. The exchange stays as it is written: a service may know
 * it by that name only.
 */
const market = z.string().transform((text, context) => {
  const found = parseMarkets(text)
  if (found === undefined) context.addIssue('is not EXCHANGE:BASE-QUOTE such as coinbase:BTC-USD')
  return found === undefined ? z.NEVER : `${text.slice(0, text.indexOf(':'))}:${found.symbol}`
})

/** The markets of four exchanges that the simulator has too, so that its rate is the sum of all that is subscribed to. */
export const DEFAULT_MARKETS = Object.entries({
  coinbase: 'BTC-USD ETH-USD SOL-USD XRP-USD DOGE-USD BTC-EUR ETH-BTC BTC-USDT LTC-USD',
  kraken: 'BTC-USD ETH-USD BTC-EUR ETH-EUR SOL-USD XRP-USD ETH-BTC DOGE-USD',
  bitstamp: 'BTC-USD ETH-USD BTC-EUR XRP-USD ETH-BTC LTC-USD',
  binance: 'BTC-USDT ETH-USDT SOL-USDT XRP-USDT DOGE-USDT ETH-BTC BTC-EUR',
}).flatMap(([exchange, symbols]) => symbols.split(' ').map((symbol) => `${exchange}:${symbol}`))

/** What each source does where a wait is not set, for its description. */
const usualOf = (wait: keyof SourceKind['usual']): string =>
  Object.values(SOURCES)
    .map(({ title, usual }) => `${title}: ${usual[wait] / 1_000}s`)
    .join('; ')

/** How one service is reached. */
const reach = {
  exchange: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_]{0,31}$/)
    .optional()
    .describe('Of the kind ccxt only: which exchange, by the name that ccxt has for it.'),
  url: webAddress('ws').optional().describe('Address of the WebSocket, where it is not the service itself.'),
  restUrl: webAddress('http').optional().describe('Address of REST, where it is not the service itself.'),
  reconnect: sourceDuration(`The shortest wait between two connects (${usualOf('reconnect')}).`),
  reconnectMax: sourceDuration(
    'The longest wait between two connects, and the wait after a refusal for too many calls (60s).',
  ),
  timeout: sourceDuration('How long a new connection has until it delivers, and a REST call may take (10s).'),
  staleAfter: sourceDuration(
    `Silence, without even a heartbeat, after which a connection counts as dead (${usualOf('staleAfter')}).`,
  ),
  fallbackAfter: sourceDuration(
    'How long the WebSocket may be down before REST polling begins, or the source counts as failed (10s).',
  ),
  pollEvery: sourceDuration('How often REST is polled while the WebSocket is down (10s).'),
  maxSkew: sourceDuration(
    "How far after its arrival, by this machine's clock, the time of an event may lie (60s). What lies beyond, or before 2009, is refused and counted as malformed.",
  ),
}

/** A source by its kind alone is one with its defaults. */
const ofKind = (given: unknown): unknown => (typeof given === 'string' ? { kind: given } : given)

/** What is wrong with a kind: a list is several sources, of which those are named that are none. */
function kindWords(given: unknown): string {
  const kinds = entriesOf(given)
  const isKind = (each: unknown): boolean => SOURCE_NAMES.some((name) => name === each)
  if (!Array.isArray(kinds) || kinds.length < 2)
    return `is none of ${SOURCE_NAMES.join(', ')}${didYouMean(String(given), SOURCE_NAMES)}`
  const unknown = kinds.filter((each) => !isKind(each))
  const none = unknown.length === 0 ? '' : `; there is no source ${unknown.join(', ')}`
  return `has ${kinds.length} kinds where one belongs: several sources are a list in sources${none}`
}

const sourceKind = z.enum(SOURCE_NAMES, { error: ({ input }) => kindWords(input) })

/** Another service for the markets of a source. */
const fallbackSchema = z.strictObject({
  kind: sourceKind.describe('Which service stands in; it may be the same at another address.'),
  after: duration(
    '30s',
    'How long the source may be away before its fallback stands in, and has to be back before the fallback rests, at least a second.',
    { leastMs: 1_000 },
  ),
  ...reach,
})

/** One source: `source`, or an entry of `sources`. */
export const sourceSchema = z.strictObject({
  kind: sourceKind.default('cryptocompare').describe('Where the data comes from.'),
  markets: list(market)
    .default(DEFAULT_MARKETS)
    .describe(
      'Markets to subscribe to, EXCHANGE:BASE-QUOTE; EXCHANGE:*-USDT for all that the exchange lists.',
    ),
  channels: list(z.enum(FEED_CHANNELS))
    .default(['trade', 'quote'])
    .describe('Which kinds of events to subscribe to.'),
  bookDepth: count(1, 1_000, USUAL_BOOK_DEPTH, 'How many levels of each side of a book are shown.'),
  bookSnapshotEvery: sourceDuration(
    'From one snapshot of a book to the next (10s): so much must be read at most to have a book.',
  ),
  listEvery: sourceDuration('How often the exchange is asked what it lists (1h).'),
  ...reach,
  fallback: z
    .preprocess(ofKind, fallbackSchema)
    .optional()
    .describe(
      'Another source of the same markets, which stands in while this one is away: a kind, or an object with `after` and the settings of `source`.',
    ),
})

/** Sources by their kinds alone are sources with their defaults. */
export function listOfSources(given: unknown): unknown {
  const entries = entriesOf(given)
  return Array.isArray(entries) ? entries.map(ofKind) : entries
}
