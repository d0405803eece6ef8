import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { numberFlag, runTool } from '../servers/command-line.ts'
import { kafkaMissing } from '../servers/kafka.ts'
import { postgresMissing } from '../servers/postgres.ts'
import { runIdle } from './idle.ts'
import { coresUsed, type Trend, trends } from './memory-samples.ts'

const HELP = `
Usage: npm run idle -- [--minutes N] [--every SECONDS] [--seed S] [--snapshots DIR]

Runs each role in a process of its own on a real Kafka and PostgreSQL, with applications that are connected. After 2,000
trades nothing comes any more. Every process writes down from time to time what it uses. A sixth of the time is given to
settle; after that neither RSS, as it is, nor the heap may grow by more than 2 %: the median RSS of the next sixth beside
that of the last, and the heap once garbage is collected, which is done once in each. Nor may a process use more than
1.5 % of a core. Exit code 1 where one does either. Where others on the machine held a process up it says so.

  --minutes N       how long (default: 60)
  --every SECONDS   how far apart samples are (default: 60)
  --seed S          decides the markets (default: 1)
  --snapshots DIR   write two heap snapshots of each process there, to see what grows; that itself takes memory
`

const MOST_GROWTH = 0.02
const MOST_CORES = 0.015
/** Of these two growth is a failure; the others help to find what grows. */
const JUDGED: readonly string[] = ['heap', 'rss']

async function main(ended: AbortSignal): Promise<number> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '60' },
      every: { type: 'string', default: '60' },
      seed: { type: 'string', default: '1' },
      snapshots: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(HELP.trim())
    return 0
  }
  const missing = kafkaMissing() ?? postgresMissing()
  if (missing !== undefined) {
    console.error(missing)
    return 1
  }
  const processes = await runIdle(
    {
      forMs: numberFlag('minutes', values.minutes) * 60_000,
      sampleEveryMs: numberFlag('every', values.every) * 1_000,
      seed: numberFlag('seed', values.seed),
      ...(values.snapshots !== undefined && { snapshots: resolve(values.snapshots) }),
      onSample: (name, { at, cpu, handles, ...bytes }) => {
        const shown = Object.entries(bytes).map(([measure, value]) => `${measure} ${megabytes(value)}`)
        console.log(
          `${(at / 60).toFixed(1).padStart(6)} min  ${name.padEnd(12)} cpu ${cpu.toFixed(2).padStart(6)} s  ${shown.join('  ')}  ${handles} handles`,
        )
      },
    },
    ended,
  )
  let isGood = true
  for (const [name, { samples, asked, heldUp }] of processes) {
    const cores = coresUsed(samples)
    const isBusy = cores > MOST_CORES
    if (isBusy) isGood = false
    console.log(
      `${isBusy ? 'BUSY  ' : 'idle  '} ${name.padEnd(12)} cpu       ${(cores * 100).toFixed(2)} % of a core`,
    )
    // Then it has lost shards and claimed them again, which is work: what it shows is no process at rest.
    if (heldUp > 0)
      console.log(`HELD   ${name.padEnd(12)} up by others ${heldUp} of ${asked} times that it was asked`)
    for (const trend of trends(samples)) {
      const isBad = JUDGED.includes(trend.measure) && trend.growth > MOST_GROWTH
      if (isBad) isGood = false
      console.log(`${isBad ? 'GROWS ' : 'level '} ${name.padEnd(12)} ${describe(trend)}`)
    }
  }
  return isGood ? 0 : 1
}

function describe({ measure, first, last, growth }: Trend): string {
  const show = measure === 'handles' ? String : megabytes
  return `${measure.padEnd(9)} ${show(first)} -> ${show(last)}  ${(growth * 100).toFixed(2)} %`
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(2).padStart(7)} MB`

await runTool(main)
