import type { MachineGraph, MachineName } from './graph.ts'
import type { Message } from './messages.ts'

type EdgeTriple = readonly [from: string, event: string, to: string]

/** One machine as `tapeline graph --format json` prints it. */
export interface MachineJson {
  readonly id: string
  readonly initial: string
  readonly states: readonly string[]
  /** All edges: the contract's and ours. */
  readonly edges: readonly EdgeTriple[]
  /** Those that the contract does not have. */
  readonly ours: readonly EdgeTriple[]
  readonly context: readonly string[]
  readonly services: readonly string[]
  readonly handledInEveryState: readonly string[]
}

/** One machine for programs. */
export function machineJson({ edges, ...graph }: MachineGraph): MachineJson {
  const triples = edges.map(({ from, event, to, reason }) => ({ triple: [from, event, to] as const, reason }))
  return {
    id: graph.id,
    initial: graph.initial,
    states: graph.states.map(({ name }) => name),
    edges: triples.map(({ triple }) => triple),
    ours: triples.filter(({ reason }) => reason !== undefined).map(({ triple }) => triple),
    context: graph.context,
    services: graph.services,
    handledInEveryState: graph.handledInEveryState,
  }
}

/** All machines and the messages between them, for programs. */
export function overallJson(
  graphs: Readonly<Record<MachineName, MachineGraph>>,
  messages: readonly Message[],
): Readonly<Record<MachineName, MachineJson>> & { readonly messagesBetweenActors: readonly Message[] } {
  return {
    producer: machineJson(graphs.producer),
    coordinator: machineJson(graphs.coordinator),
    consumerFixed: machineJson(graphs.consumerFixed),
    consumerDynamic: machineJson(graphs.consumerDynamic),
    messagesBetweenActors: messages,
  }
}
