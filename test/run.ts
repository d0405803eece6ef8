import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { longestFirst } from './longest-first.ts'
import { globalSetup, globalTeardown } from './run-setup.ts'
import { longFiles, processFiles } from './together.ts'

/** How long one test may take. */
const TIMEOUT_MS = 240_000

const CERTAIN_END = '--import=./bin/certain-end.mjs'

/**
 * So many processes run at a time that two cores are busy: tests wait for servers and sessions much of their time. The long ones start servers and
 * platforms of several processes each: with five at a time, or with the longest first, these got so little of a core that sessions and deadlines ran out.
 */
const SUITES = {
  usual: { files: () => longestFirst(processFiles()), processes: 4 },
  long: { files: longFiles, processes: 3 },
} as const

/**
 * `npm test` runs all tests but the long ones, `npm run test:long` (`--long`) these. Files of the command line run as they do in
 * `npm test`; options are those of `node --test`.
 */
const [first, ...others] = process.argv.slice(2)
const suite = first === '--long' ? SUITES.long : SUITES.usual
const words = first === '--long' ? others : process.argv.slice(2)
process.exitCode = words.length === 0 ? await runInOrder() : await runByNode()

async function runInOrder(): Promise<number> {
  await globalSetup()
  let isWell = false
  const results = run({
    ...{ files: [...suite.files()], concurrency: suite.processes, timeout: TIMEOUT_MS },
    execArgv: [CERTAIN_END],
  })
  // The last summary is that of all files.
  results.on('test:summary', ({ success }) => {
    isWell = success
  })
  await once(
    results.compose(new spec()).on('data', (text: string) => process.stdout.write(text)),
    'end',
  )
  await globalTeardown()
  return isWell ? 0 : 1
}

/** Node sorts files by their names. */
async function runByNode(): Promise<number> {
  const options = [
    ...['--import=./test/quick-database.mjs', CERTAIN_END, '--test'],
    '--test-global-setup=test/run-setup.ts',
    ...[`--test-concurrency=${suite.processes}`, `--test-timeout=${TIMEOUT_MS}`],
  ]
  const files = words.every((word) => word.startsWith('-')) ? suite.files() : []
  const node = spawn(process.execPath, [...options, ...words, ...files], { stdio: 'inherit' })
  const [code] = (await once(node, 'exit')) as [number | null]
  return code ?? 1
}
