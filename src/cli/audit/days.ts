import { z } from 'zod'
import { SOURCES } from '../../adapters/source/index.ts'
import { GAP_CAUSES, type Status } from '../../domain/events.ts'
import { parseMarket } from '../../domain/market-names.ts'
import { type OpenGap, openGaps } from '../../domain/open-gaps.ts'
import { isoMicros, parseIsoMicros } from '../../domain/time.ts'

/** What is stored of a market on a day. */
export interface AuditedDay {
  readonly market: string
  /** When it begins, ISO 8601. */
  readonly day: string
  readonly trades: number
  /** What may be missing of the day, and nothing has filled. */
  readonly gaps: readonly { readonly from: string; readonly to: string; readonly cause: string | null }[]
  readonly missingSeconds: number
  /** Trades beyond the first of the same id, price and size. */
  readonly twice: number
  /** Ids that are missing since the day before, where the exchange numbers its trades one by one; else null. */
  readonly skipped: number | null
  /** Trades that arrived more than a minute after they happened. */
  readonly late: number
  /** How many trades the candle of the day has. */
  readonly candles: number
}

/** Asks a read-only statement for its rows. */
export type AskSql = (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>

/** Microseconds; `to` is not included. */
interface Audited {
  readonly market: string | undefined
  readonly from: number
  readonly to: number
}

const DAY = 86_400_000_000
/** Later arrivals count as late. */
const LATE = '1 minute'

const count = z.coerce.number()
const marketRow = z.object({ exchange: z.string(), symbol: z.string() })
const dayRow = marketRow.extend({
  trades: count,
  single: count,
  late: count,
  ids: count.nullable(),
  first: count.nullable(),
  last: count.nullable(),
})
const candleRow = marketRow.extend({ trades: count.nullable() })
const statusRow = marketRow.extend({
  state: z.enum(['gap', 'recovered']),
  from_ts: z.string(),
  to_ts: z.string(),
  cause: z.enum(GAP_CAUSES).nullable(),
})

/** Ids that a double holds, so that they can be counted. */
const NUMBERED = `id ~ '^[0-9]{1,15}$'`

/** Each market and day, by market; a day is asked for by itself, so that no statement takes long. */
export async function auditDays(ask: AskSql, audited: Audited): Promise<readonly AuditedDay[]> {
  const gaps = await gapsOf(ask, audited)
  const found: AuditedDay[] = []
  /** The highest id of each market so far. */
  const highest = new Map<string, number>()
  for (let at = audited.from; at < audited.to; at += DAY) {
    const rows = await daysOf(ask, audited, at)
    const candles = rows.length === 0 ? new Map<string, number>() : await candlesOf(ask, audited, at)
    const own = gaps.filter((gap) => gap.from < at + DAY && gap.to >= at)
    const markets = new Set([...rows.map(nameOf), ...own.map(nameOf)])
    for (const market of [...markets].toSorted()) {
      const row = rows.find((each) => nameOf(each) === market)
      const missing = own.filter((gap) => nameOf(gap) === market).map((gap) => clipped(gap, at))
      found.push({
        ...{ market, day: isoMicros(at), trades: row?.trades ?? 0 },
        gaps: missing.map(({ from, to, cause }) => ({
          from: isoMicros(from),
          to: isoMicros(to),
          cause: cause ?? null,
        })),
        missingSeconds: missing.reduce((sum, { from, to }) => sum + (to - from) / 1e6, 0),
        twice: row === undefined ? 0 : row.trades - row.single,
        skipped: row === undefined ? null : skippedIn(row, highest),
        late: row?.late ?? 0,
        candles: candles.get(market) ?? 0,
      })
    }
  }
  return found.toSorted((a, b) =>
    a.market < b.market ? -1 : a.market > b.market ? 1 : a.day < b.day ? -1 : 1,
  )
}

function nameOf({ exchange, symbol }: { readonly exchange: string; readonly symbol: string }): string {
  return `${exchange}:${symbol}`
}

function clipped(gap: OpenGap, day: number): OpenGap {
  return { ...gap, from: Math.max(gap.from, day), to: Math.min(gap.to, day + DAY) }
}

/** Those of an exchange that numbers its trades one by one; null of others. */
function skippedIn(row: z.output<typeof dayRow>, highest: Map<string, number>): number | null {
  const kinds: Readonly<Record<string, { readonly numbersTrades?: true }>> = SOURCES
  if (kinds[row.exchange]?.numbersTrades !== true) return null
  const { ids, first, last } = row
  if (ids === null || first === null || last === null || ids === 0) return null
  const market = nameOf(row)
  const begin = (highest.get(market) ?? first - 1) + 1
  highest.set(market, last)
  return Math.max(0, last - begin + 1 - ids)
}

/** The condition of the market that is audited. Names of markets have no quotes. */
function whereMarket({ market }: Audited): string {
  const named = market === undefined ? undefined : parseMarket(market)
  return named === undefined ? '' : `and exchange = '${named.exchange}' and symbol = '${named.symbol}'`
}

async function daysOf(
  ask: AskSql,
  audited: Audited,
  at: number,
): Promise<readonly z.output<typeof dayRow>[]> {
  const rows = await ask(`
    select exchange, symbol, count(*) as trades, count(distinct (id, price, size)) as single,
      count(*) filter (where recv_ts - ts > interval '${LATE}') as late,
      count(distinct id) filter (where ${NUMBERED}) as ids,
      min(case when ${NUMBERED} then id::bigint end) as first, max(case when ${NUMBERED} then id::bigint end) as last
    from trades
    where ts >= '${isoMicros(at)}' and ts < '${isoMicros(at + DAY)}' ${whereMarket(audited)}
    group by exchange, symbol`)
  return rows.map((row) => dayRow.parse(row))
}

async function candlesOf(ask: AskSql, audited: Audited, at: number): Promise<ReadonlyMap<string, number>> {
  const rows = await ask(`
    select exchange, symbol, trades from candles_1d where bucket = '${isoMicros(at)}' ${whereMarket(audited)}`)
  return new Map(rows.map((row) => candleRow.parse(row)).map((row) => [nameOf(row), row.trades ?? 0]))
}

async function gapsOf(ask: AskSql, audited: Audited): Promise<readonly OpenGap[]> {
  const { from, to } = audited
  const rows = await ask(`
    select exchange, symbol, state, from_ts, to_ts, cause from status
    where state in ('gap', 'recovered') and symbol is not null and from_ts is not null and to_ts is not null
      and to_ts >= '${isoMicros(from)}' and from_ts < '${isoMicros(to)}' ${whereMarket(audited)}`)
  const statuses = rows.map((row): Status => {
    const { exchange, symbol, state, cause, from_ts, to_ts } = statusRow.parse(row)
    const [first = 0, last = 0] = [parseIsoMicros(from_ts), parseIsoMicros(to_ts)]
    const about = { source: '', exchange, symbol, state, from: first, to: last, detail: '', ts: 0 }
    return { ...about, ...(cause !== null && { cause }) }
  })
  return openGaps(statuses)
}
