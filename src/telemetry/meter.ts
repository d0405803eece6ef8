import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import type { CounterName, GaugeName, Meter, TimerName } from '../ports/log.ts'
import { COUNTERS, GAUGES, TIMERS } from './metrics.ts'

const PREFIX = 'tapeline_'
/** So many sets of labels of a metric are told apart: each is kept for as long as the process lives. */
const MOST_LABEL_SETS = 1_000
const FURTHER = 'other'
/** How often the lag of the event loop is measured; its metrics include this time. Each time wakes the process: the usual 10 ms cost 0.4 % of a core, measured. */
const LAG_EVERY_MS = 50

/** A meter that Prometheus can read. */
export interface PrometheusMeter extends Meter {
  /** All metrics in the Prometheus text format 0.0.4, for `/metrics`. */
  render(): Promise<string>
}

interface Labelled<Instrument> {
  readonly instrument: Instrument
  readonly labels: ReadonlySet<string>
  /** The values of labels that it was given so far. */
  readonly given: Set<string>
}

type Labels = Readonly<Record<string, string>>

/**
 * A meter with every metric of `metrics.ts` under the prefix `tapeline_`, and the usual metrics of the process
 * (`process_*`, `nodejs_*`) under their usual names, so that ready-made dashboards find them. Each meter has a registry of its own.
 *
 * Measuring must never stop the data: a label that the table does not have is left out, a value that is no amount is not
 * counted, of more than 1,000 sets of labels the further ones are one, and all that is counted itself in `tapeline_meter_misuse_total`.
 */
export function createMeter(): PrometheusMeter {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_EVERY_MS })
  // They say what the ones without `_total` say by type, and are no counters.
  for (const each of ['handles', 'requests', 'resources'])
    registry.removeSingleMetric(`nodejs_active_${each}_total`)
  const misuse = new Counter({
    name: `${PREFIX}meter_misuse_total`,
    help: 'Measurements with an unknown label or an impossible value: a defect, please report it.',
    labelNames: ['metric', 'problem'],
    registers: [registry],
  })

  const counters = instruments(COUNTERS, (name, { help, labels }) => {
    return new Counter({ name, help, labelNames: labels, registers: [registry] })
  })
  const gauges = instruments(GAUGES, (name, { help, labels }) => {
    return new Gauge({ name, help, labelNames: labels, registers: [registry] })
  })
  const timers = instruments(TIMERS, (name, { help, labels, buckets }) => {
    return new Histogram({ name, help, labelNames: labels, buckets: [...buckets], registers: [registry] })
  })

  function known(metric: string, given: Labels, { labels, given: before }: Labelled<unknown>): Labels {
    const unknown = Object.keys(given).filter((label) => !labels.has(label))
    for (const label of unknown) misuse.inc({ metric, problem: `label ${label}` })
    const own =
      unknown.length === 0
        ? given
        : Object.fromEntries(Object.entries(given).filter(([label]) => labels.has(label)))
    const values = Object.values(own).join('\n')
    if (before.has(values)) return own
    if (before.size < MOST_LABEL_SETS) {
      before.add(values)
      return own
    }
    misuse.inc({ metric, problem: 'labels' })
    return Object.fromEntries(Object.keys(own).map((label) => [label, FURTHER]))
  }

  function isAmount(metric: string, value: number): boolean {
    const acceptable = Number.isFinite(value) && value >= 0
    if (!acceptable) misuse.inc({ metric, problem: 'value' })
    return acceptable
  }

  return {
    count(name, amount = 1, labels = {}) {
      const metric = counters[name]
      if (isAmount(name, amount)) metric.instrument.inc(known(name, labels, metric), amount)
    },
    gauge(name, value, labels = {}) {
      const metric = gauges[name]
      if (isAmount(name, value)) metric.instrument.set(known(name, labels, metric), value)
    },
    observe(name, seconds, labels = {}) {
      const metric = timers[name]
      if (isAmount(name, seconds)) metric.instrument.observe(known(name, labels, metric), seconds)
    },
    render: () => registry.metrics(),
  }
}

/** Makes the instrument of each metric of a table. */
function instruments<
  Name extends CounterName | GaugeName | TimerName,
  Metric extends { labels: readonly string[] },
  Instrument,
>(
  table: Readonly<Record<Name, Metric>>,
  make: (name: string, metric: Metric) => Instrument,
): Readonly<Record<Name, Labelled<Instrument>>> {
  const entries = Object.entries<Metric>(table).map(([name, metric]) => [
    name,
    { instrument: make(PREFIX + name, metric), labels: new Set(metric.labels), given: new Set<string>() },
  ])
  return Object.fromEntries(entries) as Record<Name, Labelled<Instrument>>
}
