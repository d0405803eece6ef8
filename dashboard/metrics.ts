/** One sample of a metric. */
interface Sample {
  readonly labels: ReadonlyMap<string, string>
  readonly value: number
}

/** What `/metrics` said at one time. Source: the Prometheus text format 0.0.4. */
export interface Metrics {
  /** Milliseconds, of a clock that only goes forward. */
  readonly at: number
  readonly samples: ReadonlyMap<string, readonly Sample[]>
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g

/** Reads the text of `/metrics`. */
export function readMetrics(text: string, at = performance.now()): Metrics {
  const samples = new Map<string, Sample[]>()
  for (const line of text.split('\n')) {
    const [, name, labels = '', value] = (line.startsWith('#') ? null : LINE.exec(line)) ?? []
    if (name === undefined) continue
    const found = samples.get(name) ?? []
    const pairs = [...labels.matchAll(LABEL)].map(([, label = '', text = '']) => [label, text] as const)
    found.push({ labels: new Map(pairs), value: Number(value) })
    samples.set(name, found)
  }
  return { at, samples }
}

/** The sum over all labels, or those that are as given; undefined where the process has no such metric. */
export function sum(
  { samples }: Metrics,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const found = samples
    .get(`tapeline_${name}`)
    ?.filter((sample) => Object.entries(labels).every(([label, text]) => sample.labels.get(label) === text))
  return found === undefined || found.length === 0
    ? undefined
    : found.reduce((total, { value }) => total + value, 0)
}

/** How much a counter rose a second between two looks. */
export function perSecond(
  before: Metrics,
  now: Metrics,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const [from = 0, to] = [sum(before, name, labels), sum(now, name, labels)]
  const seconds = (now.at - before.at) / 1000
  return to === undefined || seconds <= 0 ? undefined : Math.max(0, to - from) / seconds
}

/** A quantile of what a histogram took between two looks, by its buckets; undefined where it took nothing. */
export function quantile(
  before: Metrics,
  now: Metrics,
  name: string,
  share: number,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const bounds = [
    ...new Set(now.samples.get(`tapeline_${name}_bucket`)?.map(({ labels }) => labels.get('le'))),
  ]
  const buckets = bounds.flatMap((le = '+Inf') => {
    const [from = 0, to = 0] = [before, now].map((each) => sum(each, `${name}_bucket`, { ...labels, le }))
    return [{ bound: le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le), seen: to - from }]
  })
  buckets.sort((a, b) => a.bound - b.bound)
  const total = buckets.at(-1)?.seen ?? 0
  if (total <= 0) return undefined
  const wanted = total * share
  let below = { bound: 0, seen: 0 }
  for (const bucket of buckets) {
    if (bucket.seen >= wanted) {
      if (!Number.isFinite(bucket.bound)) return below.bound
      const within = (wanted - below.seen) / (bucket.seen - below.seen)
      return below.bound + within * (bucket.bound - below.bound)
    }
    below = bucket
  }
  return below.bound
}
