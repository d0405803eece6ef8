import { type AnyStateMachine, type AnyStateNode, getInitialSnapshot } from 'xstate'
import { consumerDynamicMachine } from '../machines/consumer-dynamic.ts'
import { consumerFixedMachine } from '../machines/consumer-fixed.ts'
import { coordinatorMachine } from '../machines/coordinator.ts'
import type { MachineSettings } from '../machines/failure.ts'
import { producerMachine } from '../machines/producer.ts'
import type { ActorReport } from '../ports/actors.ts'

export type MachineName = ActorReport['machine']

export interface State {
  readonly name: string
  /** Spelled out, for pictures. */
  readonly label: string
  readonly description: string
}

export interface Edge {
  readonly from: string
  readonly event: string
  readonly to: string
  /** Why the edge exists, for those that the contract does not have: it is what marks them as ours. */
  readonly reason?: string
}

/** What a picture or a test needs to know about one machine, read from the machine itself. */
export interface MachineGraph {
  readonly id: string
  /** Spelled out, for pictures. */
  readonly label: string
  readonly initial: string
  readonly states: readonly State[]
  readonly edges: readonly Edge[]
  readonly context: readonly string[]
  readonly services: readonly string[]
  /** Events that every state handles without leaving it. */
  readonly handledInEveryState: readonly string[]
}

/** Nothing runs: a machine only needs some settings to say what its first context holds. */
const SETTINGS: MachineSettings = { now: () => 0, random: () => 0, alertAfterMs: 0 }

/** Reads a flat machine: states, transitions, context and services. A transition with a description is one of ours. */
export function readGraph(machine: AnyStateMachine): MachineGraph {
  const { root } = machine
  const nodes = Object.values<AnyStateNode>(root.states)
  return {
    id: machine.id,
    label: root.description ?? machine.id,
    initial: root.initial.target[0]?.key ?? '',
    states: nodes.map((node) => ({
      name: node.key,
      label: node.meta?.label ?? node.key,
      description: node.description ?? '',
    })),
    edges: mergeEdges([...nodes.flatMap(edgesOf), ...nodes.flatMap((node) => inheritedEdges(root, node))]),
    context: Object.keys(getInitialSnapshot(machine, SETTINGS).context),
    services: Object.keys(machine.implementations.actors),
    handledInEveryState: eventsOf(root).filter((event) =>
      transitionsOf(root, event).every(({ target }) => target === undefined),
    ),
  }
}

/** The domain's events; what XState itself sends (`xstate.done.…`, `xstate.after.…`) raises one of these. */
function eventsOf(node: AnyStateNode): readonly string[] {
  return [...node.transitions.keys()].filter((event) => !event.startsWith('xstate.'))
}

function transitionsOf(node: AnyStateNode, event: string) {
  return node.transitions.get(event) ?? []
}

function edgesOf(node: AnyStateNode): readonly Edge[] {
  return eventsOf(node).flatMap((event) => edgesFrom(node.key, event, node))
}

/** What the root handles works in every state that does not handle it itself. */
function inheritedEdges(root: AnyStateNode, node: AnyStateNode): readonly Edge[] {
  const own = new Set(eventsOf(node))
  return eventsOf(root)
    .filter((event) => !own.has(event))
    .flatMap((event) => edgesFrom(node.key, event, root))
}

function edgesFrom(from: string, event: string, owner: AnyStateNode): readonly Edge[] {
  return transitionsOf(owner, event).flatMap(({ target, description }) =>
    (target ?? []).map(({ key }: AnyStateNode) => ({
      from,
      event,
      to: key,
      ...(description === undefined ? {} : { reason: description }),
    })),
  )
}

/** Several guarded ways between the same states are one edge: of the contract if one of them is. */
function mergeEdges(edges: readonly Edge[]): readonly Edge[] {
  const byName = Map.groupBy(edges, ({ from, event, to }) => `${from} ${event} ${to}`)
  return [...byName.values()].map((same) => {
    const [first] = same as [Edge]
    const reasons = new Set(same.map(({ reason }) => reason))
    const { reason: _, ...edge } = first
    return reasons.has(undefined) ? edge : { ...edge, reason: [...reasons].join(' ') }
  })
}

/** The four machines in the order of the data's way. */
export const GRAPHS: Readonly<Record<MachineName, MachineGraph>> = {
  producer: readGraph(producerMachine),
  coordinator: readGraph(coordinatorMachine),
  consumerFixed: readGraph(consumerFixedMachine),
  consumerDynamic: readGraph(consumerDynamicMachine),
}
