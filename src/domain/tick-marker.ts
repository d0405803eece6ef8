import type { RecordHeaders } from './record.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** The body of a marker in a fixed topic that says how late it is, in microseconds, where no event says so (R21). */
export function tickBody(micros: number): Uint8Array {
  return encoder.encode(JSON.stringify({ tick: micros }))
}

/** How late it is, in microseconds, as a marker says; undefined where it says nothing of the kind. */
export function tickOf({
  headers,
  value,
}: {
  readonly headers: RecordHeaders
  readonly value: Uint8Array | null
}): number | undefined {
  if (headers.kind !== 'marker' || value === null) return undefined
  const { tick } = JSON.parse(decoder.decode(value)) as { tick?: unknown }
  return typeof tick === 'number' ? tick : undefined
}
