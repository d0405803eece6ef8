import type { Registry } from '../control/registry.ts'
import type { Meter } from '../ports/log.ts'
import type { Source, SourceHealth } from '../ports/source.ts'

const EVERY_MS = 2_000

const COUNTERS = {
  frames: 'source_frames_total',
  malformed: 'source_malformed_total',
  duplicates: 'source_duplicates_total',
  reconnects: 'source_reconnects_total',
} as const

/** Copies what only its owner counts into the metrics every two seconds: the source's counters, the number of streams. */
export function startGauges(
  meter: Meter,
  registry: Registry,
  source: () => Source | undefined,
): { stop(): void } {
  let counted: Partial<SourceHealth['counters']> = {}
  const copy = (): void => {
    meter.gauge('streams', [...registry.view.leases()].length)
    const counters = source()?.health().counters
    if (counters === undefined) return
    for (const [name, metric] of Object.entries(COUNTERS) as [
      keyof typeof COUNTERS,
      (typeof COUNTERS)['frames'],
    ][]) {
      meter.count(metric, counters[name] - (counted[name] ?? 0))
    }
    counted = { ...counters }
  }
  const timer = setInterval(copy, EVERY_MS)
  timer.unref()
  return { stop: () => clearInterval(timer) }
}
