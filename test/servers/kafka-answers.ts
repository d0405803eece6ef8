import { WireReader } from '../../src/adapters/broker/kafka/wire-reader.ts'
import type { Rewriting } from './tcp-proxy.ts'

/** An answer of a broker on its way to the client; what is written into `bytes` is what the client gets. */
export interface KafkaAnswer {
  /** Key and version of the request: https://kafka.apache.org/protocol#protocol_api_keys */
  readonly key: number
  readonly version: number
  /** Behind the correlation id. */
  readonly bytes: Buffer
}

/** Keys of requests, with the version from which on their answers are compact. */
const PRODUCE = { key: 0, compactFrom: 9 }
const METADATA = { key: 3, compactFrom: 9 }
const ADD_PARTITIONS = { key: 24, compactFrom: 3 }
const END_TXN = { key: 26, compactFrom: 3 }

const SIZE_BYTES = 4
const CORRELATION_BYTES = 4

/** Shows the answers to a client one by one, to be changed where they lie; for the `rewrite` of a proxy. */
export function changeAnswers(change: (answer: KafkaAnswer) => void): () => Rewriting {
  return () => {
    const asked = new Map<number, { readonly key: number; readonly version: number }>()
    const toServer = byFrame((request) => {
      asked.set(request.readInt32BE(4), { key: request.readInt16BE(0), version: request.readInt16BE(2) })
    })
    const toClient = byFrame((answer) => {
      const id = answer.readInt32BE(0)
      const request = asked.get(id)
      asked.delete(id)
      if (request !== undefined) change({ ...request, bytes: answer.subarray(CORRELATION_BYTES) })
    })
    return { toServer, toClient }
  }
}

/** Lets whole frames through only, each looked at before. */
function byFrame(look: (frame: Buffer) => void): (data: Buffer) => Buffer {
  let rest: Buffer = Buffer.alloc(0)
  return (data) => {
    rest = rest.length === 0 ? data : Buffer.concat([rest, data])
    let at = 0
    while (rest.length - at >= SIZE_BYTES) {
      const end = at + SIZE_BYTES + rest.readInt32BE(at)
      if (end > rest.length) break
      look(rest.subarray(at + SIZE_BYTES, end))
      at = end
    }
    const whole = rest.subarray(0, at)
    rest = rest.subarray(at)
    return whole
  }
}

function readerOf(
  { key, version, bytes }: KafkaAnswer,
  request: { readonly key: number; readonly compactFrom: number },
): WireReader | undefined {
  if (key !== request.key) return undefined
  const reader = new WireReader(bytes, version >= request.compactFrom)
  reader.skipTags()
  return reader
}

/** What the broker says of a batch; code 0: it has appended it. */
export interface Produced {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
}

/** Puts the codes that `codeFor` gives in the place of those of the broker; where it gives none, all stays. */
export function changeProduced(
  answer: KafkaAnswer,
  codeFor: (produced: Produced) => number | undefined,
): void {
  const reader = readerOf(answer, PRODUCE)
  reader?.array(() => {
    const topic = reader.string()
    reader.array(() => {
      const partition = reader.int32()
      const { at } = reader
      const code = codeFor({ topic, partition, errorCode: reader.int16() })
      if (code !== undefined) {
        answer.bytes.writeInt16BE(code, at)
        answer.bytes.writeBigInt64BE(-1n, at + 2)
      }
      // Base offset, time of the append, beginning of the log.
      for (let i = 0; i < 3; i++) reader.int64()
      if (answer.version >= 8) {
        reader.array(() => {
          reader.int32()
          reader.string()
          reader.skipTags()
        })
        reader.string()
      }
      reader.skipTags()
    })
    reader.skipTags()
  })
}

/** Puts a code in the place of what a coordinator says of the end of a transaction. */
export function changeEnded(answer: KafkaAnswer, codeFor: () => number | undefined): void {
  const reader = readerOf(answer, END_TXN)
  if (reader === undefined) return
  reader.int32()
  const code = codeFor()
  if (code !== undefined) answer.bytes.writeInt16BE(code, reader.at)
}

/** Puts a code in the place of what a coordinator says of each partition that joins a transaction. */
export function changeJoined(answer: KafkaAnswer, codeFor: () => number | undefined): void {
  const reader = readerOf(answer, ADD_PARTITIONS)
  if (reader === undefined) return
  const code = codeFor()
  reader.int32()
  reader.array(() => {
    reader.string()
    reader.array(() => {
      reader.int32()
      if (code !== undefined) answer.bytes.writeInt16BE(code, reader.at)
      reader.int16()
      reader.skipTags()
    })
    reader.skipTags()
  })
}

/** Puts codes in the place of what a broker says of topics that are looked for. */
export function changeFound(answer: KafkaAnswer, codeFor: (topic: string) => number | undefined): void {
  const reader = readerOf(answer, METADATA)
  if (reader === undefined) return
  reader.int32()
  reader.array(() => {
    reader.int32()
    reader.string()
    reader.int32()
    reader.string()
    reader.skipTags()
  })
  reader.string()
  reader.int32()
  reader.array(() => {
    const { at } = reader
    reader.int16()
    const code = codeFor(reader.string())
    if (code !== undefined) answer.bytes.writeInt16BE(code, at)
    if (answer.version >= 10) reader.uuid()
    reader.int8()
    reader.array(() => {
      reader.int16()
      for (let i = 0; i < 3; i++) reader.int32()
      for (let i = 0; i < 3; i++) reader.array(() => reader.int32())
      reader.skipTags()
    })
    if (answer.version >= 8) reader.int32()
    reader.skipTags()
  })
}
