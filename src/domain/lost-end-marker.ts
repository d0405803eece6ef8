import type { RecordHeaders } from './record.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** The body of an owner's marker in a fixed topic that has lost its end: where it went on, with records of the same process in front of the marker. */
export function lostEndBody(lostFrom: number): Uint8Array {
  return encoder.encode(JSON.stringify({ lostFrom }))
}

/** Where a fixed topic went on that has lost its end, as a marker says; undefined where it says nothing of the kind. */
export function lostFromOf({
  headers,
  value,
}: {
  readonly headers: RecordHeaders
  readonly value: Uint8Array | null
}): number | undefined {
  if (headers.kind !== 'marker' || value === null) return undefined
  const { lostFrom } = JSON.parse(decoder.decode(value)) as { lostFrom?: unknown }
  return typeof lostFrom === 'number' ? lostFrom : undefined
}
