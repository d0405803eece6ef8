import { parseArgs } from 'node:util'
import type { Bench } from './bench.ts'
import { describeLoad, describeMachine } from './machine.ts'

/** Each bench by its name. A new one is a module that exports `bench`, and a line here. */
const BENCHES: Readonly<Record<string, () => Promise<{ readonly bench: Bench }>>> = {
  broker: () => import('./broker/bench.ts'),
  store: () => import('./store/bench.ts'),
  delivery: () => import('./delivery/bench.ts'),
}

const USAGE = `Usage: npm run bench -- [${Object.keys(BENCHES).join('|')}] [--records N]`

const { values, positionals } = parseArgs({
  options: { records: { type: 'string' }, help: { type: 'boolean' } },
  allowPositionals: true,
})
const names = positionals.length > 0 ? positionals : Object.keys(BENCHES)
const records = values.records === undefined ? undefined : Number(values.records)

if (values.help) {
  console.log(USAGE)
} else if (!names.every((name) => Object.hasOwn(BENCHES, name)) || !isCount(records)) {
  console.error(USAGE)
  process.exitCode = 2
} else {
  console.log(describeMachine())
  for (const name of names) await runBench(name)
}

function isCount(value: number | undefined): boolean {
  return value === undefined || (Number.isSafeInteger(value) && value > 0)
}

async function runBench(name: string): Promise<void> {
  const { bench } = (await BENCHES[name]?.()) ?? {}
  if (bench === undefined) return
  const began = performance.now()
  console.log(`\n${name}: ${bench.summary}`)
  await bench.run(records, (line) => console.log(line))
  console.log(`  (${((performance.now() - began) / 1000).toFixed(0)} s, ${describeLoad()} afterwards)`)
}
