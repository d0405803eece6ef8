import { parseMarket } from '../../../domain/market-names.ts'
import { TapelineError } from '../../../errors.ts'
import type { Market } from '../../../ports/source.ts'
import type { WireBook } from '../feed/book-wire.ts'
import { readCapture } from '../feed/capture.ts'
import type { ExchangeWire, WireItem, WireQuote, WireTrade } from '../feed/exchange-wire.ts'
import type { SourceKind } from '../feed/source-kind.ts'
import { SOURCES, type SourceName } from '../index.ts'

/** So many lines tell what a file is. */
const MOST_LINES = 200_000
/** So many frames tell whose they are. */
const MOST_FRAMES = 500

/** What a file of recorded frames is. */
export interface RecordingContents {
  readonly source: SourceName
  /** Those that it has, as far as they must be known to read it. */
  readonly markets: readonly Market[]
}

/**
 * Finds out whose frames a file has: a recording of ours says so; of others the addresses in it tell, or else whose reader understands its frames.
 * Raises CAPTURE_INVALID.
 */
export async function inspectRecording(
  path: string,
  asked: { readonly source?: SourceName | undefined; readonly markets?: readonly Market[] | undefined },
  signal: AbortSignal,
): Promise<RecordingContents> {
  const frames: string[] = []
  let source = asked.source
  let lines = 0
  for await (const line of readCapture(path, signal)) {
    if (++lines > MOST_LINES || frames.length >= MOST_FRAMES) break
    if (line.kind === 'begins') {
      if (!(line.source in SOURCES))
        throw new TapelineError(
          'CAPTURE_INVALID',
          `${path} is a recording of ${line.source}, which is no source of this version`,
        )
      return {
        source: line.source as SourceName,
        markets: line.markets.flatMap((market) => parseMarket(market) ?? []),
      }
    }
    if ((line.kind === 'opened' || line.kind === 'sent') && line.url !== undefined)
      source ??= sourceOfAddress(line.url)
    if (line.kind === 'received' || line.kind === 'untimed') frames.push(line.frame)
  }
  if (lines === 0 && !signal.aborted)
    throw new TapelineError('CAPTURE_INVALID', `the capture ${path} is empty`)
  const found = source ?? (await sourceOfFrames(frames)) ?? 'coinbase'
  const { loadWire }: SourceKind = SOURCES[found]
  if (asked.markets?.length || loadWire === undefined) return { source: found, markets: asked.markets ?? [] }
  return { source: found, markets: await marketsIn(path, await loadWire(), signal) }
}

/** The source whose service an address is of. */
function sourceOfAddress(url: string): SourceName | undefined {
  const host = URL.canParse(url) ? new URL(url).hostname : ''
  const names = Object.keys(SOURCES) as SourceName[]
  const hasHost = (name: SourceName): boolean => {
    const { socket }: SourceKind = SOURCES[name]
    return socket !== undefined && new URL(socket).hostname === host
  }
  return names.find(hasHost) ?? names.find((name) => host.split('.').includes(name))
}

/** The source that makes most of some frames; undefined where none makes anything of them. */
async function sourceOfFrames(frames: readonly string[]): Promise<SourceName | undefined> {
  let [best, most]: [SourceName | undefined, number] = [undefined, 0]
  for (const [name, kind] of Object.entries(SOURCES) as [SourceName, SourceKind][]) {
    const wire = await kind.loadWire?.()
    const score = wire === undefined ? 0 : frames.filter((frame) => isData(wire, frame)).length
    if (score > most) [best, most] = [name, score]
  }
  return best
}

/** Whether a frame has what only this exchange would write: a trade, best prices or a book, of a market that it names so. */
function isData(wire: ExchangeWire, frame: string): boolean {
  return wire
    .read(frame)
    .some(
      (item) =>
        isOfMarket(item) &&
        (item.kind === 'book' ? item.bids : item.ts) !== undefined &&
        symbolOf(wire, item.name) !== undefined,
    )
}

function isOfMarket(item: WireItem): item is WireTrade | WireQuote | WireBook {
  return item.kind === 'trade' || item.kind === 'quote' || item.kind === 'book'
}

async function marketsIn(path: string, wire: ExchangeWire, signal: AbortSignal): Promise<readonly Market[]> {
  const names = new Set<unknown>()
  let lines = 0
  for await (const line of readCapture(path, signal)) {
    if (++lines > MOST_LINES) break
    if (line.kind !== 'received' && line.kind !== 'untimed') continue
    for (const item of wire.read(line.frame)) if (isOfMarket(item)) names.add(item.name)
  }
  const symbols = [...names].flatMap((name) => symbolOf(wire, name) ?? [])
  return symbols.map((symbol) => ({ exchange: wire.exchange, symbol }))
}

/** What markets are quoted in, the longer names first: USDT ends with no USD, but BUSD does. */
const QUOTES = [
  ...[
    'FDUSD',
    'USDT',
    'USDC',
    'BUSD',
    'TUSD',
    'GUSD',
    'USD',
    'EUR',
    'GBP',
    'CHF',
    'JPY',
    'AUD',
    'CAD',
    'TRY',
  ],
  ...['BRL', 'SGD', 'KRW', 'DAI', 'PAX', 'UST', 'BTC', 'XBT', 'ETH', 'BNB', 'SOL'],
]

/** The symbol of what a service calls a market, where it can be told. */
function symbolOf(wire: ExchangeWire, name: unknown): string | undefined {
  if (typeof name !== 'string' || name.length > 64) return undefined
  const bare = (/^t[A-Z]/.test(name) ? name.slice(1) : name).toUpperCase()
  const [base, quote, ...others] = bare.split(/[/:_-]/)
  const candidates =
    base && quote && others.length === 0
      ? [`${base}-${quote}`]
      : QUOTES.filter((each) => bare.length > each.length && bare.endsWith(each)).map(
          (each) => `${bare.slice(0, -each.length)}-${each}`,
        )
  return candidates.find((symbol) => wire.nameOf(symbol) === name)
}
