import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { processFiles } from './together.ts'

/** `npm test`: runs all tests but the long ones, or the files of the command line; options are those of `node --test`. */
const words = process.argv.slice(2)
const options = [
  ...['--import=./test/quick-database.mjs', '--test', '--test-global-setup=test/run-setup.ts'],
  ...['--test-concurrency=3', '--test-timeout=240000'],
]
const files = words.every((word) => word.startsWith('-')) ? processFiles() : []
const run = spawn(process.execPath, [...options, ...words, ...files], { stdio: 'inherit' })
const [code] = (await once(run, 'exit')) as [number | null]
process.exitCode = code ?? 1
