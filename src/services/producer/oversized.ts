import { type DerivedRecord, resetMarker } from './derive.ts'
import type { ProducerParts } from './parts.ts'
import type { Route } from './route.ts'
import { createSampledWarning } from './sampled-warning.ts'

/** For so long after a refusal the producer sends a topic nothing as large. Longer than a topic rests that is set aside. */
const LIMIT_MS = 60_000
/** The alert stands for so long after the last refusal. */
const ALERT_MS = 600_000
const ALERT = 'oversized'

/** Records that are too large for the topic of a stream. */
export interface OversizedRecords {
  /** Takes note of records that the topic refused. */
  refused(route: Route, records: readonly DerivedRecord[]): void
  /** The records to publish: in place of those that are too large a marker, which readers answer with `reset` (R4). */
  without(route: Route, records: readonly DerivedRecord[]): readonly DerivedRecord[]
  /** Ends the alert when nothing has been refused for a while. */
  settle(): void
}

export function createOversizedRecords({
  alerts,
  log,
  meter,
  now,
}: Pick<ProducerParts, 'alerts' | 'log' | 'meter' | 'now'>): OversizedRecords {
  /** By stream: the smallest size that its topic refused. */
  const limits = new Map<Route, { readonly bytes: number; readonly at: number }>()
  const warn = createSampledWarning({ log, now })

  const limitOf = (route: Route): number => {
    const limit = limits.get(route)
    return limit !== undefined && now() - limit.at < LIMIT_MS ? limit.bytes : Number.POSITIVE_INFINITY
  }

  return {
    refused(route, records) {
      const bytes = Math.min(limitOf(route), ...records.map(sizeOf))
      limits.set(route, { bytes, at: now() })
      const more = limits.size > 1 ? `, and of ${limits.size - 1} more` : ''
      const message = `records of ${bytes} bytes are larger than the topic ${route.topic} takes${more}: they are left out of its stream`
      alerts.raise(ALERT, 'RECORD_TOO_LARGE', message)
    },
    without(route, records) {
      const limit = limitOf(route)
      if (limit === Number.POSITIVE_INFINITY) return records
      const kept: DerivedRecord[] = []
      let hole: { readonly from: number; readonly last: DerivedRecord } | undefined
      const close = (): void => {
        if (hole !== undefined) kept.push(markerOf(hole.from, hole.last))
        hole = undefined
      }
      for (const record of records) {
        const isLarge = record.record.value !== null && sizeOf(record) >= limit
        if (!isLarge || hole?.last.shard !== record.shard) close()
        if (!isLarge) {
          kept.push(record)
          continue
        }
        hole = { from: hole?.from ?? record.offset, last: record }
        meter.count('oversized_derived_total', 1, { channel: route.channel })
        warn(
          (oversized) => ({
            ...{ code: 'RECORD_TOO_LARGE', topic: route.topic, shard: record.shard.k },
            ...{ offset: record.offset, bytes: sizeOf(record), oversized },
          }),
          'left a record out of a stream, whose topic takes less; further ones are counted and shown once a minute',
        )
      }
      close()
      return kept
    },
    settle() {
      if (limits.size === 0) return
      for (const [route, { at }] of limits) if (now() - at >= ALERT_MS) limits.delete(route)
      if (limits.size === 0) alerts.clear(ALERT)
    },
  }
}

function sizeOf({ record: { key, value } }: DerivedRecord): number {
  return (value?.length ?? 0) + Buffer.byteLength(key ?? '')
}

/** A marker with a body: readers answer it with `reset`. */
function markerOf(from: number, { shard, offset }: DerivedRecord): DerivedRecord {
  const what = from === offset ? `record ${from}` : `records ${from} to ${offset}`
  const reason = `fixed ${what} of shard ${shard.k} left out: larger than the stream's topic takes`
  return resetMarker(shard, offset, reason)
}
