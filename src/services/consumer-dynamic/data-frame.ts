import { encodeCursor } from '../../domain/cursor.ts'
import type { StreamBatch } from '../../ports/pipeline.ts'

const COMMA = Buffer.from(',')
const END = Buffer.from(']}')
const bodies = new WeakMap<StreamBatch, Buffer>()

/** A `data` message, and the cursor in it. */
export interface DataFrame {
  readonly bytes: Buffer
  readonly cursor: string
}

/**
 * A `data` message: the values of the records as they are, since they are JSON already, after the stream's id and
 * cursor. The body is joined once for all streams and sockets (R12). Events before `from` are left out. `skipped`: how many more were left
 * out, because the application wants the latest only.
 */
export function encodeDataFrame(lease: string, batch: StreamBatch, from: number, skipped = 0): DataFrame {
  const { topicId, next: offset, after: memory } = batch
  const cursor = encodeCursor({ lease, topics: [{ topicId, offset, memory }] })
  const note = skipped > 0 ? `"skipped":${skipped},` : ''
  const head = Buffer.from(
    `{"op":"data","stream":${JSON.stringify(lease)},"cursor":"${cursor}",${note}"events":[`,
  )
  const body = from > batch.from ? joinBody(batch, from) : wholeBody(batch)
  return { bytes: Buffer.concat([head, body, END]), cursor }
}

/** Joins the body of a batch ahead of its delivery. */
export function wholeBody(batch: StreamBatch): Buffer {
  let body = bodies.get(batch)
  if (body === undefined) {
    body = joinBody(batch, batch.from)
    bodies.set(batch, body)
  }
  return body
}

function joinBody({ events }: StreamBatch, from: number): Buffer {
  const pieces: Uint8Array[] = []
  for (const { offset, value } of events) {
    if (offset < from) continue
    if (pieces.length > 0) pieces.push(COMMA)
    pieces.push(value)
  }
  return Buffer.concat(pieces)
}
