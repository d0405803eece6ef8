export interface ErrorInfo {
  readonly code: string
  readonly message: string
  /** The state whose work failed, and to which RETRY goes back. */
  readonly step: string
  /** How often it has failed in a row, from 1. */
  readonly attempt: number
  readonly retryable: boolean
  /** When it first failed, milliseconds since the epoch. */
  readonly since: number
}

/** One running machine as seen from outside (R20). */
export interface ActorReport {
  readonly id: string
  readonly machine: 'producer' | 'coordinator' | 'consumerFixed' | 'consumerDynamic'
  readonly state: string
  /** When it entered the state, ISO 8601. */
  readonly since: string
  readonly restarts: number
  readonly errorInfo: ErrorInfo | null
  /** A short, JSON-ready summary of what it has in hand. */
  readonly context: Readonly<Record<string, unknown>>
}

/** An actor and the process that it runs in. An actor of another process has the id `ID@INSTANCE`. */
export interface PlacedActor extends ActorReport {
  readonly instance: string
}

/** The actors of all processes, for the gateway. */
export interface ActorDirectory {
  list(): readonly PlacedActor[]
  /** Sends RESET. Raises ACTOR_UNKNOWN, and CONTROL_UNAVAILABLE where another process does not answer. */
  reset(id: string, signal: AbortSignal): Promise<void>
}

/** Something that lasts and that a person should know about. */
export interface Alert {
  readonly id: string
  readonly code: string
  readonly message: string
  readonly since: string
}

/** An alert and the process that raised it. An alert of another process has the id `ID@INSTANCE`. */
export interface PlacedAlert extends Alert {
  readonly instance: string
}

/** One entry of an actor into a state by an event: a line of `--trace`, with these keys in this order. */
export interface Transition {
  /** Microseconds since the epoch. */
  readonly ts: number
  readonly actor: string
  readonly machine: ActorReport['machine']
  readonly from: string
  /** The domain name, such as DATA_READY. */
  readonly event: string
  readonly to: string
}

/** How often each edge of the machines was taken in a process since it started, by the id that the edge has in the diagrams: `machine.from.EVENT.to`. */
export type EdgeCounts = Readonly<Record<string, number>>

/** What the machines of one process did since the last news of it. */
export interface TransitionNews {
  readonly instance: string
  /** In their order. An actor of another process has the id `ID@INSTANCE`. */
  readonly transitions: readonly Transition[]
  /** How many more there were, left out at the bound. */
  readonly skipped: number
  /** Of the edges that were taken, all in all. */
  readonly counts: EdgeCounts
}

/** What machines do, for whoever watches. While nobody does it costs a count for each transition, and no more. */
export interface TransitionFeed {
  readonly instance: string
  /** The last transitions of this process and all its counts. */
  latest(): TransitionNews
  /** Calls `onNews` with what the machines of all processes do, until `stop`. It must not throw. */
  watch(onNews: (news: TransitionNews) => void): { stop(): void }
}
