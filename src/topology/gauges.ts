import { startInterval } from '../async/timers.ts'
import { ROLES } from '../config-schema.ts'
import type { CounterName } from '../ports/log.ts'
import { eachHealth, type Source, type SourceHealth } from '../ports/source.ts'
import type { Foundation } from './foundation.ts'

const EVERY_MS = 1_000

const COUNTERS = {
  frames: 'source_frames_total',
  malformed: 'source_malformed_total',
  duplicates: 'source_duplicates_total',
  outOfOrder: 'source_out_of_order_total',
  reconnects: 'source_reconnects_total',
  conflated: 'source_conflated_total',
  dropped: 'source_dropped_total',
  bookDoubts: 'source_book_doubts_total',
  bookResyncs: 'source_book_resyncs_total',
} as const satisfies Record<keyof SourceHealth['counters'], CounterName>

const WAYS = ['websocket', 'rest', 'replay', 'none'] as const satisfies readonly SourceHealth['way'][]

/** What only the roles of a process know; undefined without the role. */
interface Known {
  readonly source: Source | undefined
  readonly shards: (() => readonly number[]) | undefined
  readonly leads: (() => boolean) | undefined
}

/**
 * Copies what only its owner knows into the metrics every second: the source's counters and way, shards, leadership, how many
 * processes and streams there are.
 */
export function startGauges(
  {
    meter,
    registry,
    membership,
    roster,
    stateClock,
  }: Pick<Foundation, 'meter' | 'registry' | 'membership' | 'roster' | 'stateClock'>,
  { source, shards, leads }: Known,
): { stop(): void } {
  /** By the name of the source. */
  const countedOf = new Map<string, SourceHealth['counters']>()
  const copySource = ({ name, way, counters, queue, books }: SourceHealth): void => {
    for (const [state, count] of Object.entries(books ?? {}))
      meter.gauge('source_books', count, { source: name, state })
    if (queue) {
      meter.gauge('source_queue_items', queue.items, { source: name })
      meter.gauge('source_queue_ratio', queue.items / queue.capacity, { source: name })
    }
    for (const [counter, metric] of Object.entries(COUNTERS) as [keyof typeof COUNTERS, CounterName][]) {
      meter.count(metric, counters[counter] - (countedOf.get(name)?.[counter] ?? 0), { source: name })
    }
    countedOf.set(name, { ...counters })
    for (const each of WAYS) meter.gauge('source_way', each === way ? 1 : 0, { source: name, way: each })
  }
  const copy = (): void => {
    meter.gauge('streams', registry.view.counts.leases)
    meter.gauge('topics', registry.view.counts.streams)
    const members = membership.live()
    for (const role of ROLES)
      meter.gauge('processes', members.filter(({ roles }) => roles.includes(role)).length, { role })
    if (shards) meter.gauge('shards_owned', shards().length)
    if (leads) meter.gauge('leader', leads() ? 1 : 0)
    stateClock.settle((actor) => roster.has(actor))
    if (source) for (const each of eachHealth(source.health())) copySource(each)
  }
  const timer = startInterval(copy, EVERY_MS)
  timer.unref()
  return { stop: () => timer.stop() }
}
