/** One entry of the table in `run.ts`. */
export interface Bench {
  /** What is compared with what, in one line. */
  readonly summary: string
  /** Measures both sides, interleaved, and prints a line for each result. `records` overrides the number of each measurement. */
  run(records: number | undefined, print: (line: string) => void): Promise<void>
}

/** One measurement. CPU is that of the main thread alone, where an application's own code runs; garbage collection in other threads is not in it. */
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

/** The two sides of a comparison, each with all its rounds. */
export interface Comparison {
  readonly name: string
  readonly unit: string
  readonly subject: readonly Measurement[]
  readonly baseline: readonly Measurement[]
}

/** The median of both sides with the range of the rounds, and the ratio of the medians. */
export function describe({ name, unit, subject, baseline }: Comparison): string {
  const ratio = median(subject.map(rateOf)) / median(baseline.map(rateOf))
  return [
    `  ${name}: ${ratio.toFixed(2)} x baseline`,
    `    tapeline  ${describeSide(subject, unit)}`,
    `    baseline  ${describeSide(baseline, unit)}`,
  ].join('\n')
}

function describeSide(rounds: readonly Measurement[], unit: string): string {
  const rates = rounds.map(rateOf)
  const cpu = median(rounds.map(({ mainCpuMicros, records }) => mainCpuMicros / records))
  const range = `${wholeNumber(Math.min(...rates))} to ${wholeNumber(Math.max(...rates))}`
  return `${wholeNumber(median(rates))} ${unit}/s (${range}), ${cpu.toFixed(2)} us of main thread each`
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

export function wholeNumber(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
