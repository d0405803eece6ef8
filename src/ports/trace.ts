/** Where a span stands in a trace: a `traceparent`. Source: https://www.w3.org/TR/trace-context/ */
export type TraceContext = string

/** One step of a batch on its way, which has ended. Times are microseconds since the epoch. */
export interface Span {
  readonly context: TraceContext
  /** The step that it follows; left out where the trace begins. */
  readonly parent?: TraceContext
  readonly name: 'receive' | 'publish' | 'derive' | 'store' | 'deliver'
  readonly kind: 'producer' | 'consumer'
  readonly start: number
  readonly end: number
  readonly attributes: Readonly<Record<string, string | number>>
}

/** Follows some batches from the source to applications. Calls never throw and never wait. */
export interface Tracer {
  /** Begins a trace for one batch in so many; undefined for the others. */
  sample(): TraceContext | undefined
  /** The place of a further step in the trace of another one. */
  follow(parent: TraceContext): TraceContext
  end(span: Span): void
}
