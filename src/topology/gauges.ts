import type { Registry } from '../control/registry.ts'
import type { CounterName, Meter } from '../ports/log.ts'
import type { Source, SourceHealth } from '../ports/source.ts'

const EVERY_MS = 1_000

const COUNTERS = {
  frames: 'source_frames_total',
  malformed: 'source_malformed_total',
  duplicates: 'source_duplicates_total',
  outOfOrder: 'source_out_of_order_total',
  reconnects: 'source_reconnects_total',
  dropped: 'source_dropped_total',
} as const satisfies Record<keyof SourceHealth['counters'], CounterName>

const WAYS = ['websocket', 'rest', 'replay', 'none'] as const satisfies readonly SourceHealth['way'][]

/** Copies what only its owner knows into the metrics every second: the source's counters and way, the number of streams. */
export function startGauges(
  meter: Meter,
  registry: Registry,
  source: () => Source | undefined,
): { stop(): void } {
  let counted: Partial<SourceHealth['counters']> = {}
  const copy = (): void => {
    meter.gauge('streams', [...registry.view.leases()].length)
    const health = source()?.health()
    if (health === undefined) return
    const { name, way, counters } = health
    for (const [counter, metric] of Object.entries(COUNTERS) as [keyof typeof COUNTERS, CounterName][]) {
      meter.count(metric, counters[counter] - (counted[counter] ?? 0), { source: name })
    }
    counted = { ...counters }
    for (const each of WAYS) meter.gauge('source_way', each === way ? 1 : 0, { source: name, way: each })
  }
  const timer = setInterval(copy, EVERY_MS)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}
