import type { MachineGraph } from './graph.ts'

const INTRODUCTION = `# Every edge of the machines

<!-- Generated from src/machines/ by \`npm run docs\`. -->

The pictures are in [the page on the machines](README.md). An edge without a reason is one of the contract; one with a reason
was added, and the reason says why.`

/** `docs/machines/edges.md`: a table of all edges for each machine, with the reasons of those that were added. */
export function edgesPage(graphs: readonly MachineGraph[]): string {
  return `${[INTRODUCTION, ...graphs.map(section)].join('\n\n')}\n`
}

function section({ label, id, edges }: MachineGraph): string {
  const rows = edges.map(({ from, event, to, reason }) => `| ${from} | ${event} | ${to} | ${reason ?? ''} |`)
  return [
    `## ${label} (\`${id}\`)`,
    '',
    '| From | Event | To | Why it was added |',
    '|---|---|---|---|',
    ...rows,
  ].join('\n')
}
