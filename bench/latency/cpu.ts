import { execFile } from 'node:child_process'
import { cpus } from 'node:os'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** What a process is, by its command line; the first that fits. */
const LABELS: readonly (readonly [RegExp, string])[] = [
  [/ simulate /, 'simulator'],
  [/ --roles (\S+)/, '$1'],
  [/kafka\.Kafka/, 'Kafka'],
  [/postgres/, 'PostgreSQL'],
]

/** CPU seconds so far. */
export interface CpuSeconds {
  /** Of this process and those that it started, by what they are. */
  readonly own: ReadonlyMap<string, number>
  /** Of all programs of the machine. */
  readonly machine: number
}

interface Process {
  readonly pid: number
  readonly parent: number
  readonly seconds: number
  readonly args: string
}

/** Asks `ps`, which counts whole seconds. */
export async function cpuSeconds(): Promise<CpuSeconds> {
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=,cputimes=,args='])
  const { user, system } = process.cpuUsage()
  const own = new Map([['client', (user + system) / 1e6]])
  for (const { seconds, args } of descendants(stdout.split('\n').flatMap(parse))) {
    const label = labelOf(args)
    if (label !== undefined) own.set(label, (own.get(label) ?? 0) + seconds)
  }
  const millis = cpus().map(({ times }) => times.user + times.nice + times.sys + times.irq)
  return { own, machine: millis.reduce((sum, each) => sum + each, 0) / 1000 }
}

function parse(line: string): Process[] {
  const [, pid, parent, seconds, args = ''] = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? []
  return pid === undefined
    ? []
    : [{ pid: Number(pid), parent: Number(parent), seconds: Number(seconds), args }]
}

function descendants(all: readonly Process[], of: number = process.pid): Process[] {
  const children = all.filter(({ parent }) => parent === of)
  return children.flatMap((child) => [child, ...descendants(all, child.pid)])
}

function labelOf(args: string): string | undefined {
  for (const [pattern, label] of LABELS) {
    const match = pattern.exec(args)
    if (match) return label.replace('$1', match[1] ?? '')
  }
  return undefined
}

/** The cores that each part used between two moments, the busiest first, and what other programs took. */
export function describeCores(before: CpuSeconds, after: CpuSeconds, seconds: number): string {
  const parts = [...after.own]
    .map(([label, total]) => ({ label, cores: (total - (before.own.get(label) ?? 0)) / seconds }))
    .toSorted((a, b) => b.cores - a.cores)
  const own = parts.reduce((sum, { cores }) => sum + cores, 0)
  const others = Math.max(0, (after.machine - before.machine) / seconds - own)
  return [...parts, { label: 'OTHER PROGRAMS', cores: others }]
    .map(({ label, cores }) => `${label} ${cores.toFixed(2)}`)
    .join(', ')
}
