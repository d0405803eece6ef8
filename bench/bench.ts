/** What was asked for on the command line. */
export interface BenchOptions {
  /** Overrides the number of records of each measurement. */
  readonly records: number | undefined
  /** Servers to measure on, instead of those that the bench starts. */
  readonly kafka?: string | undefined
  readonly database?: string | undefined
  /** `streams`: only one of the two brokers. */
  readonly on?: 'embedded' | 'kafka' | undefined
  /** The psql of the baseline. */
  readonly psql: string
  /** A file of statements, and how many minutes the memory is watched after them. */
  readonly sql?: string | undefined
  readonly minutes?: number | undefined
}

/** One entry of the table in `run.ts`. */
export interface Bench {
  /** What is compared with what, in one line. */
  readonly summary: string
  /** Measures all sides, interleaved, and prints a line for each result. */
  run(options: BenchOptions, print: (line: string) => void): Promise<void>
}

/**
 * One measurement. CPU is that of the main thread alone, where an application's own code runs; garbage collection in other
 * threads is not in it. 0 where another program did the work.
 */
export interface Measurement {
  readonly records: number
  readonly seconds: number
  readonly mainCpuMicros: number
}

/** Runs `work`, which moves so many records. */
export async function measure(records: number, work: () => Promise<void>): Promise<Measurement> {
  const cpuBefore = process.threadCpuUsage()
  const began = performance.now()
  await work()
  const seconds = (performance.now() - began) / 1000
  const { user, system } = process.threadCpuUsage(cpuBefore)
  return { records, seconds, mainCpuMicros: user + system }
}

export function rateOf({ records, seconds }: Measurement): number {
  return records / seconds
}

/** The two sides of a comparison, each with all its rounds; those of equal index ran one after the other. */
export interface Comparison {
  readonly name: string
  readonly unit: string
  readonly subject: readonly Measurement[]
  readonly baseline: readonly Measurement[]
  /** What the baseline is; "baseline" where it is not said. */
  readonly against?: string
}

/** The median of both sides with the range of the rounds, the ratio of the medians, and the range of the ratios of the rounds. */
export function describe({ name, unit, subject, baseline, against = 'baseline' }: Comparison): string {
  const ratio = median(subject.map(rateOf)) / median(baseline.map(rateOf))
  const ratios = subject.map((each, round) => rateOf(each) / rateOf(baseline[round] ?? each))
  const width = Math.max('tapeline'.length, against.length) + 2
  return [
    `  ${name}: ${ratio.toFixed(2)} x ${against} (rounds ${range(ratios, (value) => value.toFixed(2))})`,
    `    ${'tapeline'.padEnd(width)}${describeSide(subject, unit)}`,
    `    ${against.padEnd(width)}${describeSide(baseline, unit)}`,
  ].join('\n')
}

function describeSide(rounds: readonly Measurement[], unit: string): string {
  const rates = rounds.map(rateOf)
  const rate = `${wholeNumber(median(rates))} ${unit}/s (${range(rates, wholeNumber)})`
  const cpu = median(rounds.map(({ mainCpuMicros, records }) => mainCpuMicros / records))
  return cpu > 0 ? `${rate}, ${cpu.toFixed(2)} us of main thread each` : rate
}

function range(values: readonly number[], format: (value: number) => string): string {
  return `${format(Math.min(...values))} to ${format(Math.max(...values))}`
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

export function wholeNumber(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
