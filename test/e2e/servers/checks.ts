import type { StreamRecord } from '../../../src/control/registry-records.ts'
import { byMarket, type LedgerTrade, marketOf, tradeKey } from '../ledger.ts'
import type { Evidence, FlaggedGap, PublishedTrade } from './evidence.ts'

/** So many of one kind are named; of the others only how many there are. */
const MOST_NAMED = 5

const identityOf = (trade: LedgerTrade): string => `${marketOf(trade)}:${trade.id}`

function violation(what: string, found: readonly string[]): string[] {
  if (found.length === 0) return []
  const named = found.slice(0, MOST_NAMED).join('; ')
  return [`${found.length} ${what}: ${named}${found.length > MOST_NAMED ? '; ...' : ''}`]
}

/** Moments of a run, event times in microseconds. */
export interface Span {
  /** Since then nothing has been killed, frozen or cut. */
  readonly calm: number
  /** Trades after it may be on their way. */
  readonly until: number
}

const ALL: Span = { calm: Number.POSITIVE_INFINITY, until: Number.POSITIVE_INFINITY }

/**
 * The rows against ledger and fixed topic: none twice, none that was never emitted, what the fixed topic holds is stored and
 * nothing else, and what is missing lies in a flagged gap. Only the next trade of a market shows its gap: a market without one
 * since all is calm may still owe it.
 */
export function checkRows(evidence: Evidence, span = ALL): string[] {
  const { emitted, stored, published } = evidence
  const real = new Set(emitted.map(tradeKey))
  const have = new Set(stored.map(tradeKey))
  const acknowledged = new Set(published.map(({ trade }) => tradeKey(trade)))
  return [
    ...violation('rows are stored twice', repeated(stored.map(identityOf))),
    ...violation(
      'rows were never emitted',
      [...have].filter((key) => !real.has(key)),
    ),
    ...violation(
      'acknowledged trades are not stored',
      [...acknowledged].filter((key) => !have.has(key)),
    ),
    ...violation(
      'rows are not in the fixed topic',
      [...have].filter((key) => !acknowledged.has(key)),
    ),
    ...violation(
      'trades are in the fixed topic twice',
      repeated(published.filter(({ headers }) => !headers.reentering).map(({ trade }) => identityOf(trade))),
    ),
    ...violation(
      'emitted trades are missing outside flagged gaps',
      owed(evidence, span).filter(notFlagged(evidence.gaps)).map(tradeKey),
    ),
  ]
}

/** Missing trades that a gap should cover by now. */
function owed(evidence: Evidence, { calm, until }: Span): LedgerTrade[] {
  const published = byMarket(evidence.published.map(({ trade }) => trade))
  const emitted = byMarket(evidence.emitted)
  const times = (trades: readonly LedgerTrade[] = []): number[] => trades.map(({ ts }) => ts)
  const last = new Map(
    [...published].map(([market, trades]) => [market, times(trades).reduce((a, b) => Math.max(a, b))]),
  )
  const isQuiet = (market: string): boolean =>
    !times(emitted.get(market)).some((ts) => calm <= ts && ts <= until)
  return missingTrades(evidence).filter((trade) => {
    const market = marketOf(trade)
    if (trade.ts > until) return false
    return trade.ts < (last.get(market) ?? 0) || !isQuiet(market)
  })
}

/** Trades that were emitted and are not stored. */
export function missingTrades({ emitted, stored }: Evidence): LedgerTrade[] {
  const have = new Set(stored.map(tradeKey))
  return emitted.filter((trade) => !have.has(tradeKey(trade)))
}

function repeated(keys: readonly string[]): string[] {
  const seen = new Set<string>()
  return keys.filter((key) => seen.size === seen.add(key).size)
}

function notFlagged(gaps: readonly FlaggedGap[]): (trade: LedgerTrade) => boolean {
  const ofMarket = byMarket(gaps.map((gap) => ({ ...gap, symbol: gap.symbol ?? '' })))
  return (trade) =>
    !(ofMarket.get(marketOf(trade)) ?? []).some(
      ({ from, to }) => from !== null && to !== null && from <= trade.ts && trade.ts <= to,
    )
}

/** Whether a stream takes a trade; symbols may be globs with one `*` at the end. */
function matches({ symbols, exchanges }: StreamRecord['spec'], { exchange, symbol }: LedgerTrade): boolean {
  return (
    (exchanges.length === 0 || exchanges.includes(exchange)) &&
    symbols.some((glob) => (glob.endsWith('*') ? symbol.startsWith(glob.slice(0, -1)) : glob === symbol))
  )
}

/**
 * A dynamic topic against the fixed one: from the stream's start on exactly what matches, each once, and the trades of a
 * partition in the order of the fixed topic.
 */
export function checkStream(evidence: Evidence, stream: StreamRecord): string[] {
  const held = evidence.topic(stream.topic)
  if (held === undefined) return [`${stream.topic}: there is no such topic`]
  const wanted = evidence.published.filter(
    ({ partition, offset, headers, trade }) =>
      offset >= (stream.start[partition] ?? 0) && !headers.reentering && matches(stream.spec, trade),
  )
  const wantedOf = Map.groupBy(wanted, ({ partition }) => partition)
  const heldOf = Map.groupBy(held, ({ headers }) => headers.position?.partition ?? -1)
  return [...new Set([...wantedOf.keys(), ...heldOf.keys()])].flatMap((partition) =>
    difference(
      `${stream.topic}: trades of ${partition}`,
      (heldOf.get(partition) ?? []).map(({ trade }) => tradeKey(trade)),
      (wantedOf.get(partition) ?? []).map(({ trade }) => tradeKey(trade)),
    ),
  )
}

/** What one connection after the other brought an application, from one cursor on without a hole. */
export interface ReadSegment {
  /** Offset in the dynamic topic that it began at. */
  readonly offset: number
  readonly keys: readonly string[]
}

/** The trades of a dynamic topic from an offset on. */
export function tradesFrom(held: readonly PublishedTrade[], offset: number): readonly string[] {
  return held.filter((each) => each.offset >= offset).map(({ trade }) => tradeKey(trade))
}

/**
 * What an application got against its dynamic topic: everything from its cursor on, in order, each once. After a `reset` a new
 * segment begins; the one before has no hole up to where it ended.
 */
export function checkClient(
  evidence: Evidence,
  { name, topic, segments }: { name: string; topic: string; segments: readonly ReadSegment[] },
): string[] {
  const held = evidence.topic(topic)
  if (held === undefined) return [`${name}: there is no topic ${topic}`]
  return segments.flatMap(({ offset, keys }, i) => {
    const wanted = tradesFrom(held, offset)
    const isLast = i === segments.length - 1
    return difference(`${name}: events`, keys, isLast ? wanted : wanted.slice(0, keys.length))
  })
}

/** The first place where two lists differ, and how. */
function difference(what: string, found: readonly string[], wanted: readonly string[]): string[] {
  const at = wanted.findIndex((key, i) => found[i] !== key)
  if (at < 0 && found.length === wanted.length) return []
  const place = at < 0 ? wanted.length : at
  const twice = repeated(found).length
  const have = new Set(found)
  const missing = wanted.filter((key) => !have.has(key)).length
  return [
    `${what}: ${found.length} instead of ${wanted.length} (${missing} missing, ${twice} twice); at ${place} ` +
      `${found[place] ?? 'nothing'} instead of ${wanted[place] ?? 'nothing'}`,
  ]
}
