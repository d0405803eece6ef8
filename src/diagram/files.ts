import { machineDot, overallDot } from './dot.ts'
import { edgesPage } from './edges-page.ts'
import { GRAPHS, type MachineName } from './graph.ts'
import { MESSAGES } from './messages.ts'
import { drawSvg } from './svg.ts'

/** The names of the files in `docs/machines/`, without their endings. */
const FILE_NAMES: Readonly<Record<MachineName, string>> = {
  producer: 'producer',
  coordinator: 'coordinator',
  consumerFixed: 'consumer-fixed',
  consumerDynamic: 'consumer-dynamic',
}

/** What `docs/machines/` holds of the code, by file name: each machine and the overall picture as DOT and as SVG, and all edges. */
export async function diagramFiles(): Promise<ReadonlyMap<string, string>> {
  const sources = new Map<string, string>()
  for (const [machine, name] of Object.entries(FILE_NAMES) as [MachineName, string][]) {
    sources.set(name, machineDot(machine, GRAPHS[machine]))
  }
  sources.set('overall', overallDot(GRAPHS, MESSAGES))

  const files = new Map([['edges.md', edgesPage(Object.values(GRAPHS))]])
  for (const [name, dot] of sources) {
    files.set(`${name}.dot`, dot)
    files.set(`${name}.svg`, await drawSvg(dot))
  }
  return files
}
