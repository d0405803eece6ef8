import { parseArgs } from 'node:util'
import { FAULT_NAMES, FAULTS, type FaultName } from './faults.ts'
import { PENDING_FAULTS, PENDING_PROMISES } from './pending.ts'
import { runWorlds } from './pool.ts'
import type { Promised } from './violations.ts'
import { runWorld, type WorldResult } from './world.ts'

const HELP = `
Usage: npm run world -- [--seeds N] [--from S] [--faults A,B | --without A,B] [--all] [--ignore A,B] [--workers N] [--trace]

Runs the platform in simulated worlds, one for each seed: all roles in several processes, on virtual time, over a
broker and a database in memory, with faults that follow from the seed. At the end everything must have come to
rest, and rows, ledger, flagged gaps, the topics of all streams, what each application got, the registry and the
machines are compared. Exit code 1 where a promise was not kept. The same seed gives the same world.

  --seeds N        how many (default: 100)
  --from S         the first one (default: 1)
  --faults A,B     only these kinds of faults
  --without A,B    all kinds but these
  --all            also kinds and promises that the platform does not keep yet
  --ignore A,B     promises that are not looked at, such as 'foreign'
  --workers N      threads (default: 2)
  --trace          one seed, with all that happens: calls, transitions, logs, faults

Kinds of faults:
${FAULT_NAMES.map((name) => `  ${name.padEnd(16)} ${FAULTS[name].what}`).join('\n')}
`

const SIGINT_CODE = 130
const SAY_EVERY_MS = 10_000

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '100' },
      from: { type: 'string', default: '1' },
      faults: { type: 'string' },
      without: { type: 'string' },
      ignore: { type: 'string' },
      all: { type: 'boolean', default: false },
      workers: { type: 'string', default: '2' },
      trace: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) {
    console.log(HELP.trim())
    return 0
  }
  const from = whole('from', values.from, 0)
  const without = values.without === undefined ? [] : names('without', values.without)
  const pending = values.all || values.faults !== undefined ? [] : PENDING_FAULTS
  const faults = (values.faults === undefined ? FAULT_NAMES : names('faults', values.faults)).filter(
    (name) => !without.includes(name) && !pending.includes(name),
  )
  const ignored = [
    ...(values.all ? [] : PENDING_PROMISES),
    ...((values.ignore?.split(',') ?? []) as Promised[]),
  ]
  if (values.trace) {
    const result = await runWorld(from, { faults, ignored, print: (line) => console.log(line) })
    say(result)
    return result.violations.length === 0 ? 0 : 1
  }
  const seeds = whole('seeds', values.seeds, 1)
  const workers = whole('workers', values.workers, 1)
  return runMany({ from, seeds, faults, ignored, workers })
}

async function runMany(
  plan: { readonly from: number; readonly seeds: number } & Omit<
    Parameters<typeof runWorlds>[0],
    'onResult' | 'seeds'
  >,
): Promise<number> {
  const { from, seeds } = plan
  const ended = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => ended.abort())
  const started = performance.now()
  const failed: number[] = []
  let done = 0
  let saidAt = started
  const progress = (): string => {
    const seconds = (performance.now() - started) / 1_000
    return `${done} of ${seeds} seeds in ${seconds.toFixed(0)} s, ${failed.length} failed`
  }
  const onResult = (result: WorldResult): void => {
    done++
    if (result.violations.length > 0) {
      failed.push(result.seed)
      say(result)
    }
    if (performance.now() - saidAt < SAY_EVERY_MS) return
    saidAt = performance.now()
    console.log(progress())
  }
  const numbers = Array.from({ length: seeds }, (_, i) => from + i)
  await runWorlds({ ...plan, seeds: numbers, onResult }, ended.signal)
  console.log(progress())
  if (ended.signal.aborted) return SIGINT_CODE
  if (failed.length > 0) console.log(`failed: ${failed.sort((a, b) => a - b).join(' ')}`)
  return failed.length === 0 ? 0 : 1
}

const MOST_SHOWN = 5

function say({ seed, violations, virtualMs, digest }: WorldResult): void {
  console.log(
    `seed ${seed}: ${violations.length} violations after ${Math.round(virtualMs / 1_000)} s, ${digest}`,
  )
  for (const { promise, detail } of violations.slice(0, MOST_SHOWN)) console.log(`  ${promise}: ${detail}`)
}

function names(flag: string, text: string): FaultName[] {
  return text.split(',').map((name) => {
    const known = FAULT_NAMES.find((each) => each === name)
    if (known) return known
    throw new Error(
      `--${flag}: there is no fault ${JSON.stringify(name)}; there are ${FAULT_NAMES.join(', ')}`,
    )
  })
}

function whole(flag: string, text: string, least: number): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isSafeInteger(value) && value >= least) return value
  throw new Error(`--${flag} takes a whole number of ${least} or more, not ${JSON.stringify(text)}`)
}

process.exitCode = await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  return 1
})
