import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import type { MachineJson } from '../../src/diagram/graph-json.ts'
import type { Transition } from '../../src/ports/actors.ts'
import { runCommand } from './platform-process.ts'

/** The different transitions in a trace, as `machine: from EVENT to`. */
export async function readTrace(path: string): Promise<Set<string>> {
  const lines = (await readFile(path, 'utf8')).split('\n').filter(Boolean)
  const transitions = lines.map((line) => JSON.parse(line) as Transition)
  return new Set(transitions.map(({ machine, from, event, to }) => `${machine}: ${from} ${event} ${to}`))
}

/** Fails where transitions happened that `tapeline graph` does not show. */
export async function assertDrawn(seen: ReadonlySet<string>): Promise<void> {
  const { code, stdout, stderr } = await runCommand(['graph', '--format', 'json'])
  assert.equal(code, 0, stderr)
  const { messagesBetweenActors: _, ...machines } = JSON.parse(stdout) as Record<string, MachineJson>
  const drawn = new Set(
    Object.entries(machines).flatMap(([machine, { edges }]) =>
      edges.map(([from, event, to]) => `${machine}: ${from} ${event} ${to}`),
    ),
  )
  const unknown = [...seen].filter((step) => !drawn.has(step))
  assert.deepEqual(unknown, [], 'the graph lacks a transition of the trace')
}
