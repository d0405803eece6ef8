import { type Bench, rateOf, wholeNumber } from '../bench.ts'
import { type Delivery, type Load, SHARES, throughBareLoop, throughPlatform } from './runs.ts'

/** So long the bare loop runs at each rate, and the platform at each. */
const BARE_SECONDS = 5
const RUNS = [
  { name: 'latency', rate: 2_000, seconds: 15 },
  { name: 'throughput', rate: 20_000, seconds: 20 },
] as const

export const bench: Bench = {
  summary:
    'source frame -> WebSocket client through the platform, against a bare loop without broker, database and machines',
  async run({ records }, print) {
    for (const { name, rate, seconds } of RUNS) {
      const bare = await throughBareLoop({ rate, events: records ?? rate * BARE_SECONDS })
      const load: Load = { rate, events: records ?? rate * seconds }
      const { delivery, storedAfterSeconds } = await throughPlatform(load)
      const stored = `all rows stored ${storedAfterSeconds.toFixed(1)} s after the last delivery`
      print(`  ${name} at ${wholeNumber(rate)} trades/s: ${describeRatios(delivery, bare)}`)
      print(`    tapeline  ${describeDelivery(delivery)}; ${stored}`)
      print(`    baseline  ${describeDelivery(bare)}`)
      if (hasFault(delivery) || hasFault(bare)) process.exitCode = 1
    }
  },
}

function hasFault({ missing, duplicates }: Delivery): boolean {
  return missing > 0 || duplicates > 0
}

function describeRatios(subject: Delivery, baseline: Delivery): string {
  const latencies = SHARES.map((share, i) => {
    const [own = Number.NaN, bare = Number.NaN] = [subject.latenciesMs[i], baseline.latenciesMs[i]]
    return `p${share * 100} +${(own - bare).toFixed(1)} ms (${(own / bare).toFixed(1)} x)`
  })
  const rate = rateOf(subject) / rateOf(baseline)
  const cpu = subject.cpuMicros / baseline.cpuMicros
  return `${latencies.join(', ')}, rate ${rate.toFixed(2)} x, CPU ${cpu.toFixed(1)} x baseline`
}

function describeDelivery(delivery: Delivery): string {
  const { records, mainCpuMicros, cpuMicros, missing, duplicates, lostMillis, latenciesMs } = delivery
  const latencies = SHARES.map((share, i) => `p${share * 100} ${latenciesMs[i]?.toFixed(1)} ms`)
  const faults = [
    ...(missing > 0 ? [`${missing} MISSING`] : []),
    ...(duplicates > 0 ? [`${duplicates} DUPLICATES`] : []),
    ...(lostMillis > 0 ? [`the simulator lost ${wholeNumber(lostMillis)} ms`] : []),
  ]
  return [
    latencies.join(', '),
    `${wholeNumber(rateOf(delivery))} trades/s`,
    `CPU ${cpuMicros.toFixed(1)} us a trade (main thread ${(mainCpuMicros / records).toFixed(1)})`,
    ...faults,
  ].join('; ')
}
