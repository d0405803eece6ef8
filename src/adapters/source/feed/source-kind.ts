import type { Log } from '../../../ports/log.ts'
import type { Instrument, Source } from '../../../ports/source.ts'
import { parseAddress } from './address.ts'
import type { BookSettings } from './book-keeper.ts'
import { MAX_SKEW_MS } from './event-time.ts'
import type { ExchangeWire } from './exchange-wire.ts'
import type { Fallback, FeedProtocol, Outlet } from './feed-protocol.ts'
import type { FrameTap } from './frame-tap.ts'
import type { InstrumentsWire } from './instruments.ts'
import type { LinkSocket } from './link.ts'
import type { HistoryWire } from './trade-history.ts'

/** What a source may be asked for. */
export const FEED_CHANNELS = ['trade', 'quote', 'candle', 'book'] as const
export type FeedChannel = (typeof FEED_CHANNELS)[number]

/** One service that data may come from, as the table of sources has it (`../index.ts`). */
export interface SourceKind {
  /** What the configuration, the log and status events call it. */
  readonly name: string
  /** What people call it. */
  readonly title: string
  /** The page about it, from `docs/` on, with the heading. */
  readonly page: string
  /** What it gives. */
  readonly channels: readonly FeedChannel[]
  /** The exchanges that it has; left out where it has many, which it knows best itself. */
  readonly exchanges?: readonly string[]
  /** What it is asked for where nobody says what, BASE-QUOTE; left out where the default markets have some of its own. */
  readonly usualMarkets?: readonly string[]
  /** The address of its WebSocket, without a key; left out where a library has the addresses. */
  readonly socket?: string
  /** Gives what opens connections, where a library does it in place of a WebSocket of ours. Raises SOURCE_LIBRARY_MISSING, CONFIG_INVALID. */
  readonly loadSockets?: (settings: Pick<SourceSettings, 'url' | 'restUrl'>) => Promise<() => LinkSocket>
  /** The address of REST, where the source uses it. */
  readonly rest?: string
  /** How it gives trades of the past, by REST; left out where it gives none. */
  readonly loadHistory?: () => Promise<HistoryWire>
  /** Each trade of a market has the id after the one before it: what is missing shows in what is stored. */
  readonly numbersTrades?: true
  /** Left out where it takes none. */
  readonly key?: SourceKey
  /** One connection takes so many subscriptions, of which a market needs one a channel; left out where nothing says so. */
  readonly mostSubscriptions?: number
  /** What holds where the configuration sets nothing, as it differs from service to service. Milliseconds. */
  readonly usual: Readonly<Record<'reconnect' | 'staleAfter', number>>
  /** The kind of one exchange, where a kind stands for many of them: only that of one can be opened. */
  readonly ofExchange?: (exchange: string) => SourceKind
  /** Asks a library what the exchange trades. Raises what `loadSockets` does, and SOURCE_UNAVAILABLE. */
  readonly list?: (settings: Pick<SourceSettings, 'url' | 'restUrl'>) => Promise<readonly Instrument[]>
  /** Loads how the service tells what it trades; left out where it does not. */
  readonly loadInstruments?: () => Promise<InstrumentsWire>
  /** How its frames are written and read, where an `ExchangeWire` does it: what reads recordings of others finds their markets by it. */
  readonly loadWire?: () => Promise<ExchangeWire>
  /** Loads the code of the source, which only a platform that uses it needs. */
  readonly load: () => Promise<Ways>
  /** What its first message says to `tapeline doctor`; left out where it says nothing unless it is asked. */
  readonly greeting?: (text: string, redact: (text: string) => string) => Greeting
}

/** How a service is read. */
export interface SourceWays {
  /** How its frames are asked for and read. */
  readonly protocol: FeedProtocol
  /** What stands in while its WebSocket is down. */
  readonly fallback?: Fallback
  /** What it has of the past, where no `HistoryWire` says it. */
  readonly history?: NonNullable<Source['history']>
}

type Ways = (source: SourceParts) => SourceWays

/** The key that a service asks for. */
export interface SourceKey {
  /** The environment variable that has it. */
  readonly variable: string
  /** The parameter of the WebSocket's address that carries it. */
  readonly parameter: string
  /** What to do where there is none. */
  readonly remedy: string
}

/** What comes of a look at a service; `detail` goes on from its name. */
export type Greeting =
  | { readonly status: 'ok'; readonly detail: string }
  | { readonly status: 'warn' | 'fail'; readonly detail: string; readonly remedy: string }

/** What holds for every service where the configuration sets nothing. Milliseconds. */
export const USUAL = {
  reconnectMax: 60_000,
  timeout: 10_000,
  fallbackAfter: 10_000,
  pollEvery: 10_000,
  maxSkew: MAX_SKEW_MS,
  bookSnapshotEvery: 10_000,
} as const

type Waits = keyof typeof USUAL | keyof SourceKind['usual']

/** Settings as the configuration has them; waits are milliseconds. */
export interface SourceSettings extends Readonly<Partial<Record<Waits, number | undefined>>> {
  readonly url?: string | undefined
  readonly restUrl?: string | undefined
  readonly channels: readonly FeedChannel[]
  /** How many levels of each side of a book are shown. */
  readonly bookDepth?: number | undefined
}

/** How many levels of each side of a book are shown where the configuration sets nothing. */
export const USUAL_BOOK_DEPTH = 50

export interface SourceOptions {
  readonly settings: SourceSettings
  /** Never logged and never part of an error. */
  readonly apiKey?: string
  /** Names of exchanges as the user wrote them: those that nobody knows are asked for like that. */
  readonly exchanges?: readonly string[]
  /** How many items are held while nobody pulls; the newest are dropped beyond it, with an `overflow` change at the hole. */
  readonly queueCapacity?: number
  /** Gives what hears of the frames of one more connection. */
  readonly openTap?: () => FrameTap
  readonly log: Log
  /** Microseconds since the epoch. */
  readonly now: () => number
}

/** What a service's protocol may need of the source that it is part of. */
export interface SourceParts extends Pick<SourceOptions, 'apiKey' | 'exchanges' | 'log'> {
  readonly outlet: Outlet
  readonly channels: readonly FeedChannel[]
  readonly books: BookSettings
  readonly rest: URL | undefined
  readonly timeoutMs: number
  readonly pollEveryMs: number
  /** Takes secrets out of what the service says. */
  readonly redact: (text: string) => string
}

/** So many markets go over one connection; undefined where nothing says how many subscriptions it takes. */
export function marketsOfConnection(
  { mostSubscriptions }: Pick<SourceKind, 'mostSubscriptions'>,
  channels: number,
): number | undefined {
  if (mostSubscriptions === undefined) return undefined
  return Math.max(1, Math.floor(mostSubscriptions / Math.max(1, channels)))
}

/** The addresses of a source; its WebSocket's with the key. Raises CONFIG_INVALID where one is none. */
export function addressesOf(
  kind: SourceKind,
  { url, restUrl }: Pick<SourceSettings, 'url' | 'restUrl'>,
  apiKey: string | undefined,
): { readonly socket: URL | undefined; readonly rest: URL | undefined } {
  const named = url ?? kind.socket
  const socket = named === undefined ? undefined : parseAddress('source.url', named, ['ws:', 'wss:'])
  if (socket && kind.key && apiKey) socket.searchParams.set(kind.key.parameter, apiKey)
  const rest = kind.rest && parseAddress('source.restUrl', restUrl ?? kind.rest, ['http:', 'https:'])
  return { socket, rest: rest || undefined }
}
