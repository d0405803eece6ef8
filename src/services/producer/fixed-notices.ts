import { type Channel, type MarketEvent, marketKey, type Trade } from '../../domain/events.ts'
import { isoMicros } from '../../domain/time.ts'
import type { Market } from '../../ports/source.ts'
import type { OutgoingEvent } from './batch.ts'
import type { Gap } from './gap-watch.ts'
import type { ProducerParts } from './parts.ts'
import { createSampledWarning } from './sampled-warning.ts'

/** An alert about gaps stands for so long after the last one. */
const ALERT_MS = 600_000
/** The log shows so many characters of a name. */
const SHOWN = 200

/** What the log, the metrics and the alerts say of events that are published, or left out. */
interface FixedNotices {
  /** Trades of a market are missing. */
  gap(market: Market, gap: Gap): void
  /** Events were published: how long they took to get here, and from here to the log. */
  hops(channel: Channel, events: readonly OutgoingEvent[]): void
  /** Two trades of a market have one id. */
  conflict(trade: Trade): void
  /** An event is larger than a record may be, or than its topic takes. */
  oversized(event: MarketEvent, bytes: number): void
}

export function createFixedNotices(producer: ProducerParts): FixedNotices {
  const { alerts, meter, log, now } = producer
  const warnOfConflict = createSampledWarning(producer)
  const warnOfOversized = createSampledWarning(producer)

  return {
    gap({ exchange, symbol }, { from, to, cause, filled }) {
      if (filled) return
      const market = `${exchange}:${symbol}`.slice(0, SHOWN)
      const times = { from: isoMicros(from), to: isoMicros(to) }
      log.warn({ market, cause, ...times }, 'gap')
      const message = `trades are missing, the last ones of ${market} from ${times.from} to ${times.to} (${cause})`
      alerts.raise('gaps', 'GAP_FLAGGED', message, ALERT_MS)
    },
    /** Of the first trade of a batch, which waited longest: dead letters that enter again tell nothing. */
    hops(channel, events) {
      const first = channel === 'trade' ? events.find(({ reentering }) => !reentering) : undefined
      if (first === undefined) return
      const { ts, recvTs } = first.event as Trade
      // The exchange's clock may be ahead of ours.
      meter.observe('hop_seconds', Math.max(0, recvTs - ts) / 1e6, { hop: 'received' })
      meter.observe('hop_seconds', Math.max(0, now() * 1_000 - recvTs) / 1e6, { hop: 'published' })
    },
    conflict({ exchange, symbol, id, price, size, ts }) {
      meter.count('trade_conflicts_total')
      warnOfConflict(
        (conflicts) => ({ market: `${exchange}:${symbol}`, id, price, size, ts, conflicts }),
        'another trade has the id of this one; both are kept, further ones are counted and shown once a minute',
      )
    },
    oversized({ channel, event }, bytes) {
      meter.count('oversized_events_total', 1, { channel })
      const market = marketKey(event).slice(0, SHOWN)
      warnOfOversized(
        (oversized) => ({ code: 'RECORD_TOO_LARGE', channel, market, bytes, oversized }),
        'left out an event that is too large for a record; further ones are counted and shown once a minute',
      )
    },
  }
}
