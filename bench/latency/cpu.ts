import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** What a process is, by its command line; the first that fits. */
const LABELS: readonly (readonly [RegExp, string])[] = [
  [/ simulate /, 'simulator'],
  [/ --roles (\S+)/, '$1'],
  [/kafka\.Kafka/, 'Kafka'],
  [/postgres/, 'PostgreSQL'],
]

/** CPU seconds so far of this process and those that it started, by what they are. */
export type CpuSeconds = ReadonlyMap<string, number>

/** Asks `ps`, which counts whole seconds. */
export async function cpuSeconds(): Promise<CpuSeconds> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=,cputimes=,args='])
  const processes = stdout
    .trim()
    .split('\n')
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(.*)$/.exec(line))
    .flatMap((match) =>
      match ? [{ pid: match[1], parent: match[2], seconds: Number(match[3]), args: match[4] ?? '' }] : [],
    )
  const own = new Set([String(process.pid)])
  const totals = new Map<string, number>([
    ['client', process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6],
  ])
  // Parents have lower numbers than their children, except after the numbers have begun anew.
  for (let size = 0; size !== own.size; ) {
    size = own.size
    for (const { pid, parent } of processes)
      if (parent !== undefined && own.has(parent) && pid !== undefined) own.add(pid)
  }
  for (const { pid, seconds, args } of processes) {
    if (pid === undefined || !own.has(pid)) continue
    const label = labelOf(args)
    if (label !== undefined) totals.set(label, (totals.get(label) ?? 0) + seconds)
  }
  return totals
}

function labelOf(args: string): string | undefined {
  for (const [pattern, label] of LABELS) {
    const match = pattern.exec(args)
    if (match) return label.replace('$1', match[1] ?? '')
  }
  return undefined
}

/** The cores that each part used between two moments, the busiest first. */
export function describeCores(before: CpuSeconds, after: CpuSeconds, seconds: number): string {
  return [...after]
    .map(([label, total]) => ({ label, cores: (total - (before.get(label) ?? 0)) / seconds }))
    .toSorted((a, b) => b.cores - a.cores)
    .map(({ label, cores }) => `${label} ${cores.toFixed(2)}`)
    .join(', ')
}
