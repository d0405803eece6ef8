import { readFile } from 'node:fs/promises'

/** What a process used at one moment. */
export interface MemorySample {
  /** Seconds since its start. */
  readonly at: number
  /** Seconds of CPU since its start, without what taking samples took. */
  readonly cpu: number
  /** Bytes of the heap in use, without code, where garbage was collected. RSS and the others are of before that. */
  readonly heap?: number
  /** The same: bytes of code. It grows for as long as functions are found to be worth compiling. */
  readonly code?: number
  /** Bytes that V8 has taken for its heap, used or not. */
  readonly reserved: number
  /** Bytes of memory that the process has. */
  readonly rss: number
  /** Bytes outside of the heap that objects hold, such as buffers. */
  readonly external: number
  /** Timers, sockets and requests that are open. */
  readonly handles: number
}

const MEASURES = ['heap', 'code', 'reserved', 'rss', 'external', 'handles'] as const

type Measure = (typeof MEASURES)[number]

/** How one measure of a process went on, once the process had settled. */
export interface Trend {
  readonly measure: Measure
  /** The median of the first samples after it had settled. */
  readonly first: number
  /** The median of the last samples. */
  readonly last: number
  /** What it grew by, as a part of `first`; below zero where it shrank. */
  readonly growth: number
}

/** How much of a run a process is given to settle, and how much its first and last samples are taken from. */
const PART = 1 / 6

/** Compares the first samples after a sixth of the run with the last: medians, since single ones are noisy. */
export function trends(samples: readonly MemorySample[]): readonly Trend[] {
  const count = Math.floor(samples.length * PART)
  if (count === 0) throw new Error(`${samples.length} samples are too few to tell a trend`)
  const settled = samples.slice(count)
  return MEASURES.map((measure) => {
    const values = settled.flatMap((sample) => sample[measure] ?? [])
    if (values.length < 2)
      throw new Error(`${values.length} values of ${measure} are too few to tell a trend`)
    // Those of the collected heap are few.
    const compared = Math.min(count, Math.floor(values.length / 2))
    const first = median(values.slice(0, compared))
    const last = median(values.slice(-compared))
    return { measure, first, last, growth: last / first - 1 }
  })
}

/** The cores that a process used on average between its first sample after a sixth of the run and its last. */
export function coresUsed(samples: readonly MemorySample[]): number {
  const [first] = samples.slice(Math.floor(samples.length * PART))
  const last = samples.at(-1)
  if (first === undefined || last === undefined || last.at <= first.at)
    throw new Error(`${samples.length} samples are too few to tell the use of the processor`)
  return (last.cpu - first.cpu) / (last.at - first.at)
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

/** What a process has written down. */
export async function readSamples(file: string): Promise<readonly MemorySample[]> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as MemorySample)
}
