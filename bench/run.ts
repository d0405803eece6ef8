import { parseArgs } from 'node:util'
import { TapelineError } from '../src/errors.ts'
import type { Bench, BenchOptions } from './bench.ts'
import { describeLoad, describeMachine } from './machine.ts'

/** Each bench by its name. A new one is a module that exports `bench`, and a line here. */
const BENCHES: Readonly<Record<string, () => Promise<{ readonly bench: Bench }>>> = {
  store: () => import('./store/bench.ts'),
  broker: () => import('./broker/bench.ts'),
  latency: () => import('./latency/bench.ts'),
  'embedded-store': () => import('./embedded-store/bench.ts'),
  'embedded-broker': () => import('./embedded-broker/bench.ts'),
  delivery: () => import('./delivery/bench.ts'),
  fanout: () => import('./fanout/bench.ts'),
  streams: () => import('./streams/bench.ts'),
  expressions: () => import('./expressions/bench.ts'),
  machines: () => import('./machines/bench.ts'),
  sources: () => import('./sources/bench.ts'),
  page: () => import('./page/bench.ts'),
  inspection: () => import('./inspection/bench.ts'),
  rest: () => import('./rest/bench.ts'),
}

const USAGE = `Usage: npm run bench -- [NAME ...] [--records N] [--kafka HOST:PORT] [--database URL] [--on BROKER] [--psql PROGRAM]

  NAME             ${Object.keys(BENCHES).join(', ')} (default: all)
  --records N      of each measurement; streams: the most streams (default: 10000)
  --kafka SERVERS  store, broker, latency: HOST:PORT with commas, instead of a Kafka that is started for the run
  --database URL   store, latency: postgres://USER@HOST:PORT/NAME, instead of a PostgreSQL that is started for the run
  --on BROKER      streams: embedded or kafka (default: both)
  --psql PROGRAM   store: the psql of the baseline (default: psql)
  --sql FILE       rest: statements, one a line, instead of some heavy ones
  --minutes N      rest: how long the memory is watched afterwards (default: 10)

bench/README.md says how to read the results.`

const { values, positionals } = parseArgs({
  options: {
    records: { type: 'string' },
    kafka: { type: 'string' },
    database: { type: 'string' },
    psql: { type: 'string', default: 'psql' },
    on: { type: 'string' },
    sql: { type: 'string' },
    minutes: { type: 'string' },
    help: { type: 'boolean' },
  },
  allowPositionals: true,
})
const names = positionals.length > 0 ? positionals : Object.keys(BENCHES)
const numberOf = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : Number(text)
const records = numberOf(values.records)
const minutes = numberOf(values.minutes)
const { on } = values

if (values.help) {
  console.log(USAGE)
} else if (
  !names.every((name) => Object.hasOwn(BENCHES, name)) ||
  !isCount(records) ||
  !isCount(minutes) ||
  !isBroker(on)
) {
  console.error(USAGE)
  process.exitCode = 2
} else {
  console.log(describeMachine())
  for (const name of names) await runBench(name, { ...values, on, records, minutes })
}

function isBroker(value: string | undefined): value is BenchOptions['on'] {
  return value === undefined || value === 'embedded' || value === 'kafka'
}

function isCount(value: number | undefined): boolean {
  return value === undefined || (Number.isSafeInteger(value) && value > 0)
}

async function runBench(name: string, options: BenchOptions): Promise<void> {
  const { bench } = (await BENCHES[name]?.()) ?? {}
  if (bench === undefined) return
  const began = performance.now()
  console.log(`\n${name}: ${bench.summary}`)
  try {
    await bench.run(options, (line) => console.log(line))
  } catch (error) {
    if (!(error instanceof TapelineError)) throw error
    console.error(`  ${[error.message, error.remedy].filter(Boolean).join(' ')}`)
    process.exitCode = 1
  }
  console.log(`  (${((performance.now() - began) / 1000).toFixed(0)} s, ${describeLoad()} afterwards)`)
}
