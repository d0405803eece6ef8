import type { Status, StatusState } from '../../../domain/events.ts'
import type { ConnectionChange, Market, SourceItem } from '../../../ports/source.ts'
import { cutText } from './words.ts'

const MOST_DETAIL = 500

/** A status event about a source, or about one of its markets. `ts`: microseconds. */
export function status(
  source: string,
  ts: number,
  state: StatusState,
  detail: string,
  market?: Market,
): Status {
  return {
    source,
    exchange: market?.exchange ?? '',
    ...(market && { symbol: market.symbol }),
    state,
    detail: cutText(detail, MOST_DETAIL),
    ts,
  }
}

/** A market that the source will not deliver, and why, beginning with an error code. */
export function marketRefused(source: string, ts: number, market: Market, why: string): SourceItem {
  return { channel: 'status', event: status(source, ts, 'disconnected', why, market) }
}

/**
 * A market that is delivered from here on by a connection that was open before: what was missed concerns this market alone, and
 * the status names it.
 */
export function marketSubscribed(source: string, ts: number, market: Market): ConnectionChange {
  const about = status(source, ts, 'connected', 'subscribed', market)
  return { channel: 'connection', status: about, mayHaveMissed: true }
}
