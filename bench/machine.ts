import { cpus, loadavg } from 'node:os'

const SHARED = 'Other programs run on this machine now: read ratios rather than rates, and repeat.'

/** What the numbers were measured on. */
export function describeMachine(): string {
  const [first, ...others] = cpus()
  const cores = others.length + 1
  const machine = `Node ${process.versions.node}, ${cores} cores (${first?.model.trim() ?? 'unknown'}), ${describeLoad()}`
  const [lastMinute = 0] = loadavg()
  return lastMinute < cores / 2 ? machine : `${machine}\n${SHARED}`
}

/** The mean number of running threads of the whole machine over 1, 5 and 15 minutes; beyond the cores it is shared. */
export function describeLoad(): string {
  return `load ${loadavg()
    .map((value) => value.toFixed(1))
    .join(' ')}`
}
