import type { RecordHeaders } from './record.ts'

/** What a marker in a fixed topic may say, under one name each. */
type Said = 'lostFrom' | 'tick'

interface MarkerLike {
  readonly headers: RecordHeaders
  readonly value: Uint8Array | null
}

/** A record of a fixed topic, as it lies there. */
export interface FixedRecord extends MarkerLike {
  readonly offset: number
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** The body of an owner's marker in a fixed topic that has lost its end: where it went on, with records of the same process in front of the marker. */
export function lostEndBody(lostFrom: number): Uint8Array {
  return bodyOf('lostFrom', lostFrom)
}

/** Whether a record lies in front of where its owner expected it: the log had lost its end, and went on there or in front of it. */
export function isInPlaceOfLost({ headers: { expected = 0 }, offset }: Omit<FixedRecord, 'value'>): boolean {
  return expected > offset
}

/** Where a fixed topic went on that has lost its end, as a marker says; undefined where it says nothing of the kind. */
export function lostFromOf(record: MarkerLike): number | undefined {
  return said('lostFrom', record)
}

/** The body of a marker in a fixed topic that says how late it is, in microseconds, where no event says so (R21). */
export function tickBody(micros: number): Uint8Array {
  return bodyOf('tick', micros)
}

/** How late it is, in microseconds, as a marker says; undefined where it says nothing of the kind. */
export function tickOf(record: MarkerLike): number | undefined {
  return said('tick', record)
}

function bodyOf(name: Said, value: number): Uint8Array {
  return encoder.encode(JSON.stringify({ [name]: value }))
}

function said(name: Said, { headers, value }: MarkerLike): number | undefined {
  if (headers.kind !== 'marker' || value === null) return undefined
  const number = (JSON.parse(decoder.decode(value)) as Record<string, unknown>)[name]
  return typeof number === 'number' ? number : undefined
}
