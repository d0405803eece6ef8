import { parseArgs } from 'node:util'
import { FAULT_NAMES, type FaultName } from './faults.ts'
import { PENDING_FAULTS, PENDING_PROMISES } from './pending.ts'
import type { Promised } from './violations.ts'
import { runWorld } from './world.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    faults: { type: 'string', default: FAULT_NAMES.join(',') },
    without: { type: 'string', default: PENDING_FAULTS.join(',') },
    ignore: { type: 'string', default: PENDING_PROMISES.join(',') },
    trace: { type: 'boolean', default: false },
  },
})
const without = values.without.split(',')
const faults = (values.faults.split(',') as FaultName[]).filter((name) => !without.includes(name))
const ignored = values.ignore.split(',') as Promised[]
const from = Number(values.from)
const lines: string[] = []
let failures = 0
const started = performance.now()
for (let seed = from; seed < from + Number(values.seeds); seed++) {
  const print = values.trace ? (line: string) => void lines.push(line) : undefined
  const began = performance.now()
  const result = await runWorld(seed, { faults, ignored, ...(print && { print }) })
  for (const line of lines.splice(0)) console.log(line)
  if (result.violations.length > 0) failures++
  const took = Math.round(performance.now() - began)
  if (result.violations.length > 0 || values.trace)
    console.log(
      `seed ${seed}: ${result.violations.length} violations, ${Math.round(result.virtualMs / 1000)} s in ${took} ms, ${result.digest}`,
    )
  for (const { promise, detail } of result.violations.slice(0, 5)) console.log(`   ${promise}: ${detail}`)
}
console.log(
  `${failures} failed, ${Math.round((performance.now() - started) / Number(values.seeds))} ms a seed`,
)
process.exitCode = failures > 0 ? 1 : 0
