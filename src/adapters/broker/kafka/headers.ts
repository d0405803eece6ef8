import { formatPosition, parsePosition, type RecordHeaders } from '../../../domain/record.ts'

/**
 * Record headers on Kafka, all of them text:
 * - `v`: schema version of the value
 * - `writer`: SHARD:EPOCH of who wrote the record, where it has a shard
 * - `kind`: `marker` or `control`; an event has none
 * - `position`: TOPIC:PARTITION:OFFSET of the fixed record that caused it, in dynamic topics
 * - `reentering`: `1` where the record entered again
 */
type HeaderName = 'v' | 'writer' | 'kind' | 'position' | 'reentering'

const KEYS: Readonly<Record<HeaderName, Buffer>> = {
  v: Buffer.from('v'),
  writer: Buffer.from('writer'),
  kind: Buffer.from('kind'),
  position: Buffer.from('position'),
  reentering: Buffer.from('reentering'),
}
const ONE = Buffer.from('1')

/** Headers are shared by the records of a batch, so that each is encoded once. */
const encoded = new WeakMap<RecordHeaders, Map<Buffer, Buffer>>()

export function encodeHeaders(headers: RecordHeaders): Map<Buffer, Buffer> {
  const known = encoded.get(headers)
  if (known !== undefined) return known
  const { v, kind, shard, epoch, position, reentering } = headers
  const map = new Map<Buffer, Buffer>([[KEYS.v, Buffer.from(String(v))]])
  if (shard !== undefined) map.set(KEYS.writer, Buffer.from(`${shard}:${epoch ?? ''}`))
  if (kind !== 'event') map.set(KEYS.kind, Buffer.from(kind))
  if (position !== undefined) map.set(KEYS.position, Buffer.from(formatPosition(position)))
  if (reentering) map.set(KEYS.reentering, ONE)
  encoded.set(headers, map)
  return map
}

type RawHeaders = readonly (readonly [Buffer | null, Buffer | null])[]

/** Decodes headers; consecutive records mostly have the same, which are decoded once. */
export class HeaderDecoder {
  #raw: RawHeaders | undefined
  #decoded: RecordHeaders | undefined

  decode(raw: RawHeaders): RecordHeaders {
    if (this.#decoded !== undefined && this.#raw !== undefined && areEqual(raw, this.#raw))
      return this.#decoded
    this.#decoded = decodeHeaders(raw)
    this.#raw = raw
    return this.#decoded
  }
}

function areEqual(a: RawHeaders, b: RawHeaders): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) {
    const [key, value] = a[i] as RawHeaders[number]
    const [otherKey, otherValue] = b[i] as RawHeaders[number]
    if (key === null || otherKey === null || value === null || otherValue === null) return false
    if (!key.equals(otherKey) || !value.equals(otherValue)) return false
  }
  return true
}

/** A record that somebody else wrote may have any headers: what is not ours is passed over, and `v` is then 0. */
function decodeHeaders(raw: RawHeaders): RecordHeaders {
  const texts = new Map(raw.map(([key, value]) => [key?.toString() ?? '', value?.toString() ?? '']))
  const kind = texts.get('kind')
  const [shard, epoch] = (texts.get('writer') ?? '').split(':')
  const position = parsePosition(texts.get('position') ?? '')
  return {
    v: toCount(texts.get('v')) ?? 0,
    kind: kind === 'marker' || kind === 'control' ? kind : 'event',
    ...given('shard', toCount(shard)),
    ...given('epoch', toCount(epoch)),
    ...given('position', position),
    ...(texts.get('reentering') === '1' && { reentering: true }),
  }
}

function toCount(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : undefined
}

function given<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]: V })
}
