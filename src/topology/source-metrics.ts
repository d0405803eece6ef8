import type { CounterName, Meter } from '../ports/log.ts'
import type { SourceHealth } from '../ports/source.ts'

const COUNTERS = {
  frames: 'source_frames_total',
  malformed: 'source_malformed_total',
  duplicates: 'source_duplicates_total',
  outOfOrder: 'source_out_of_order_total',
  reconnects: 'source_reconnects_total',
  dropped: 'source_dropped_total',
} as const satisfies Record<keyof SourceHealth['counters'], CounterName>

const WAYS = ['websocket', 'rest', 'replay', 'none'] as const satisfies readonly SourceHealth['way'][]

/**
 * Makes the function that brings what the source has counted by itself, and the way that delivers, into the meter. It is called
 * before the metrics are shown, so that the source need not know of any meter.
 */
export function createSourceMetrics(meter: Meter): (health: SourceHealth) => void {
  const shown = new Map<CounterName, number>()
  return ({ name: source, way, counters }) => {
    for (const [counter, metric] of Object.entries(COUNTERS)) {
      const total = counters[counter as keyof typeof COUNTERS]
      meter.count(metric, total - (shown.get(metric) ?? 0), { source })
      shown.set(metric, total)
    }
    for (const each of WAYS) meter.gauge('source_way', each === way ? 1 : 0, { source, way: each })
  }
}
