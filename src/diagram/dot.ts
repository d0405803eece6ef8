import type { Edge, MachineGraph, MachineName, State } from './graph.ts'
import { EXTERNAL_SYSTEMS, type Message } from './messages.ts'

export type Graphs = Readonly<Record<MachineName, MachineGraph>>

/** Attributes by name; those that are undefined are left out. */
type Attributes = Readonly<Record<string, string | number | boolean | undefined>>

/** The contract's colours. */
const FILLS: Readonly<Record<MachineName, string>> = {
  producer: 'lightblue',
  coordinator: 'lightgreen',
  consumerFixed: 'lightcoral',
  consumerDynamic: 'lightseagreen',
}
/** What was added to the contract steps back a little. */
const OURS = '#56616e'
/** RESET leads back from everywhere: it must not bury the other edges. */
const PALE = '#b4bac2'
/** Takes the room of a count; the page puts the count in its place. */
const ROOM_FOR_COUNT = '\u00a0'
const FONT = { fontname: 'Helvetica', fontsize: 10 }

/** The DOT source of one machine. */
export function machineDot(name: MachineName, graph: MachineGraph): string {
  return digraph({ label: `${graph.label}\n${legend(graph.edges)}`, labelloc: 'b' }, [
    ...graph.states.map((state) => stateNode(name, state)),
    ...beginning(name, graph),
    ...graph.edges.flatMap((edge) => stateEdge(name, edge)),
  ])
}

/**
 * The same machine for the page, which lights states and writes counts by the ids that they have here: without a legend and a ground, with a
 * second line at each edge for its count. Colours are the page's, by class.
 */
export function liveDot(name: MachineName, graph: MachineGraph): string {
  const edges = graph.edges.flatMap((edge) => liveEdge(name, edge))
  return digraph({ bgcolor: 'transparent', nodesep: 0.28, ranksep: 0.7 }, [
    attributeLine('node', { style: 'rounded,filled', fontsize: 13 }),
    attributeLine('edge', { fontsize: 11 }),
    ...graph.states.map((state) => stateNode(name, state)),
    ...beginning(name, graph),
    ...edges,
  ])
}

/** The DOT source of the overall picture: a cluster an actor, the systems around them, and the messages between them. */
export function overallDot(graphs: Graphs, messages: readonly Message[]): string {
  const names = Object.keys(graphs) as MachineName[]
  return digraph(
    { compound: true, label: legend(Object.values(graphs).flatMap(drawnInCluster)), labelloc: 'b' },
    [
      ...Object.entries(EXTERNAL_SYSTEMS).map(([name, { label }]) => externalNode(name, label)),
      ...names.flatMap((name) => cluster(name, graphs[name])),
      ...messages.map((message) => messageEdge(graphs, message)),
    ],
  )
}

function cluster(name: MachineName, graph: MachineGraph): readonly string[] {
  const body = [
    attributeLine('graph', {
      label: graph.label,
      labelloc: 't',
      fontsize: 14,
      style: 'filled',
      color: 'lightgrey',
      id: name,
      class: 'actor',
    }),
    ...graph.states.map((state) => stateNode(name, state)),
    node(name, { shape: 'point', style: 'invis', width: 0, height: 0 }),
    ...drawnInCluster(graph).flatMap((edge) => stateEdge(name, edge)),
  ]
  return [`subgraph ${quote(`cluster_${name}`)} {`, ...indent(body), '}']
}

function stateNode(machine: MachineName, { name, label, description }: State): string {
  const isError = name === 'error'
  return node(`${machine}.${name}`, {
    label,
    id: `${machine}.${name}`,
    class: 'state',
    tooltip: description,
    fillcolor: isError ? 'red' : FILLS[machine],
    fontcolor: isError ? 'white' : undefined,
  })
}

function externalNode(name: string, label: string): string {
  return node(name, { label, id: name, class: 'external', shape: 'ellipse', color: 'lightyellow' })
}

/** A dot and an arrow to the state in which the machine begins. */
function beginning(name: MachineName, { initial }: MachineGraph): readonly string[] {
  const from = `${name}.`
  return [
    node(from, {
      shape: 'point',
      label: '',
      width: 0.12,
      style: 'filled',
      fillcolor: 'black',
      tooltip: 'begins here',
    }),
    edgeLine(from, `${name}.${initial}`, { id: `${name}.begins` }),
  ]
}

function liveEdge(machine: MachineName, edge: Edge): readonly string[] {
  const { event, reason } = edge
  const classes = [
    'transition',
    ...(reason === undefined ? [] : ['ours']),
    ...(isEverywhere(edge) ? ['everywhere'] : []),
  ]
  return stateEdge(machine, edge, { label: `${event}\n${ROOM_FOR_COUNT}`, class: classes.join(' ') })
}

function stateEdge(machine: MachineName, edge: Edge, live: Attributes = {}): readonly string[] {
  const { from, event, to, reason } = edge
  const isOurs = reason !== undefined
  const color = isEverywhere(edge) ? PALE : isOurs ? OURS : undefined
  const line = edgeLine(`${machine}.${from}`, `${machine}.${to}`, {
    label: event,
    id: `${machine}.${from}.${event}.${to}`,
    class: isOurs ? 'transition ours' : 'transition',
    tooltip: reason ?? event,
    style: isLoop(edge) ? 'dotted' : undefined,
    color,
    fontcolor: color,
    constraint: isEverywhere(edge) ? false : undefined,
    ...live,
  })
  return isOurs ? [`// ours: ${reason.replaceAll('\n', ' ')}`, line] : [line]
}

function isLoop({ from, event }: Edge): boolean {
  return event === 'FETCH_DATA' && from.startsWith('publishing')
}

function isEverywhere({ event, reason }: Edge): boolean {
  return event === 'RESET' && reason !== undefined
}

/** The overall picture is about the messages: it leaves out what every state has. */
function drawnInCluster({ edges }: MachineGraph): readonly Edge[] {
  return edges.filter((edge) => !isEverywhere(edge))
}

/** What the colours and lines of these edges mean. */
function legend(edges: readonly Edge[]): string {
  const legend = ['black: the contract', 'grey: added to it']
  if (edges.some(isEverywhere)) legend.push('pale: RESET from every state')
  if (edges.some(isLoop)) legend.push('dotted: FETCH_DATA loops')
  return legend.join('  ·  ')
}

function messageEdge(graphs: Graphs, { from, to, label, color, style }: Message): string {
  return edgeLine(from, to, {
    label,
    id: `message.${from}.${to}`,
    class: 'message',
    tooltip: label,
    color,
    fontcolor: color,
    style,
    lhead: to in graphs ? `cluster_${to}` : undefined,
  })
}

function digraph(settings: Attributes, body: readonly string[]): string {
  const defaults = [
    attributeLine('graph', { rankdir: 'LR', ...FONT, pad: 0.2, nodesep: 0.3, ranksep: 0.45, ...settings }),
    attributeLine('node', { shape: 'rectangle', style: 'filled', ...FONT, margin: '0.2,0.1' }),
    attributeLine('edge', { ...FONT, fontsize: 9, arrowsize: 0.7 }),
  ]
  return `${['digraph tapeline {', ...indent([...defaults, ...body]), '}'].join('\n')}\n`
}

function node(name: string, attributes: Attributes): string {
  return attributeLine(quote(name), attributes)
}

function edgeLine(from: string, to: string, attributes: Attributes): string {
  return attributeLine(`${quote(from)} -> ${quote(to)}`, attributes)
}

function attributeLine(subject: string, attributes: Attributes): string {
  const given = Object.entries(attributes).filter(([, value]) => value !== undefined)
  return `${subject} [${given.map(([name, value]) => `${name}=${quote(String(value))}`).join(', ')}]`
}

/** A DOT identifier, in quotes where it needs them: https://graphviz.org/doc/info/lang.html */
function quote(text: string): string {
  if (/^([a-z_]\w*|\d+(\.\d+)?)$/i.test(text) && !KEYWORDS.has(text.toLowerCase())) return text
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`
}

const KEYWORDS = new Set(['node', 'edge', 'graph', 'digraph', 'subgraph', 'strict'])

function indent(lines: readonly string[]): readonly string[] {
  return lines.map((line) => `  ${line}`)
}
