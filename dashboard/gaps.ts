import { ask } from './api.ts'

/** A part of a market's or a source's data that is missing. */
export interface Gap {
  readonly exchange: string
  /** Null: of all markets of the exchange or the source. */
  readonly symbol: string | null
  readonly from: string
  readonly to: string
  readonly cause: string
}

interface StatusRow {
  readonly exchange: string | null
  readonly symbol: string | null
  readonly from_ts: string | null
  readonly to_ts: string | null
  readonly detail: string | null
}

/** The latest gaps that were flagged, of all or of one market. Raises ApiError where the caller may not ask the database. */
export async function latestGaps(
  { exchange, symbol }: { readonly exchange?: string; readonly symbol?: string },
  limit: number,
  signal: AbortSignal,
): Promise<readonly Gap[]> {
  const ofMarket =
    exchange === undefined || symbol === undefined
      ? ''
      : ` and (symbol = ${quoted(symbol)} or symbol is null) and (exchange = ${quoted(exchange)} or exchange is null or exchange = '')`
  const sql = `select exchange, symbol, from_ts, to_ts, detail from status
    where state = 'gap' and from_ts is not null and to_ts is not null${ofMarket} order by ts desc limit ${limit}`
  const { rows } = await ask<{ rows: readonly StatusRow[] }>('/v1/sql', {
    method: 'POST',
    body: { sql },
    signal,
  })
  return rows.map(({ exchange: of, symbol: market, from_ts, to_ts, detail }) => ({
    exchange: of ?? '',
    symbol: market === '' ? null : market,
    from: from_ts ?? '',
    to: to_ts ?? '',
    cause: detail ?? '',
  }))
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
