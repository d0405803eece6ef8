/**
 * The position of the fixed record that caused a record of a dynamic topic (R4).
 * Its text form is `topic:partition:offset`, with `:n` where one record causes several.
 */
export interface Position {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly n?: number
}

/**
 * What every record carries besides key and value.
 *
 * `v` is the schema version of the value. `shard` and `epoch` say who wrote the record (R8): it counts for no reader if an earlier record or marker
 * of the shard has a higher epoch. An owner that takes over writes a `marker` without a value. A marker with a value, in a dynamic topic, says why
 * records are missing in front of it. Control and registry records have no shard.
 */
export interface RecordHeaders {
  readonly v: number
  readonly kind: 'event' | 'marker' | 'control'
  readonly shard?: number
  readonly epoch?: number
  /**
   * Of the first record of a write into a fixed topic: the offset that its owner expected for it; into the topic of a stream: the lowest that it expected.
   * Where that lies behind it, the log had lost its end.
   */
  readonly expected?: number
  readonly position?: Position
  /** The record entered again (backfill, dead letter): the store leaves the event out if it has it (R6). */
  readonly reentering?: true
  /** The step of a trace that wrote the record, of batches that are traced: a W3C `traceparent`. */
  readonly trace?: string
}

/** Whether two records have the same headers but for the position and the expected offset. */
export function areAlike(a: RecordHeaders, b: RecordHeaders): boolean {
  return (
    a.v === b.v &&
    a.kind === b.kind &&
    a.shard === b.shard &&
    a.epoch === b.epoch &&
    a.reentering === b.reentering &&
    a.trace === b.trace
  )
}

/** A partition in a Map. */
export function partitionKey({ topic, partition }: Pick<Position, 'topic' | 'partition'>): string {
  return `${topic}:${partition}`
}

export function formatPosition(position: Position): string {
  const { topic, partition, offset, n } = position
  return n === undefined ? `${topic}:${partition}:${offset}` : `${topic}:${partition}:${offset}:${n}`
}

/** Reads the text form of a position; undefined where it is none. */
export function parsePosition(text: string): Position | undefined {
  const match = /^([^:]+):(\d+):(\d+)(?::(\d+))?$/.exec(text)
  if (!match) return undefined
  const position = { topic: match[1] as string, partition: Number(match[2]), offset: Number(match[3]) }
  return match[4] === undefined ? position : { ...position, n: Number(match[4]) }
}
