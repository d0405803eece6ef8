import { liveDot } from '../diagram/dot.ts'
import { GRAPHS, type MachineName } from '../diagram/graph.ts'
import { drawSvg } from '../diagram/svg.ts'

const drawn = new Map<MachineName, Promise<string>>()

/** The statechart of a machine as the page lights it, drawn once in a process; undefined where there is no such machine. */
export async function drawLive(name: string): Promise<string | undefined> {
  if (!isMachine(name)) return undefined
  const svg = drawn.get(name) ?? drawSvg(liveDot(name, GRAPHS[name]))
  drawn.set(name, svg)
  return svg
}

function isMachine(name: string): name is MachineName {
  return Object.hasOwn(GRAPHS, name)
}
