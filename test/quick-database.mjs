import { setFlagsFromString } from 'node:v8'

/**
 * Loaded before a run of many files: V8 makes the embedded database's code once and quickly, in this process and in those that it starts.
 * By itself it makes the code faster bit by bit, for a quarter of the processor time of a platform's start: more than a platform that
 * lives for seconds gets back. A file that is run by itself, chaos and the benchmarks have the code as users have it.
 */
for (const flag of ['--liftoff-only', '--no-wasm-tier-up', '--no-wasm-dynamic-tiering'])
  setFlagsFromString(flag)

const { NODE_OPTIONS: options = '' } = process.env
if (!options.includes(import.meta.url)) process.env.NODE_OPTIONS = `${options} --import ${import.meta.url}`
