import { areAlike, formatPosition, type RecordHeaders } from '../../../domain/record.ts'
import { writeVarint } from './varint.ts'

/** The most bytes that headers take, but for the position. */
const LARGEST_WITHOUT_POSITION = 128
const POSITION_OVERHEAD = 64
const EXPECTED_OVERHEAD = 32
/** The most bytes that the context of a trace takes, with its name. */
const LARGEST_TRACE = 80

/**
 * Encodes headers as they stand in a record: their number, then each. Records mostly have the headers of the one before, but
 * for the position and the expected offset, so that the others are kept.
 */
export class HeaderEncoder {
  #last: RecordHeaders | undefined
  #common: Buffer = Buffer.alloc(0)
  #whole: Buffer = Buffer.alloc(0)

  /** No fewer bytes than `encode` gives. */
  largest({ position, trace }: RecordHeaders): number {
    const common = LARGEST_WITHOUT_POSITION + (trace === undefined ? 0 : LARGEST_TRACE)
    return common + (position === undefined ? 0 : position.topic.length + POSITION_OVERHEAD)
  }

  /** The bytes are good until the next call. */
  encode(headers: RecordHeaders): Buffer {
    if (headers === this.#last) return this.#whole
    const { position, expected } = headers
    const last = this.#last
    // The number of headers stands in front, and counts those that are left out here.
    const isCommon =
      last !== undefined &&
      areAlike(headers, last) &&
      (position === undefined) === (last.position === undefined) &&
      (expected === undefined) === (last.expected === undefined)
    if (!isCommon) this.#common = encodeCommon(headers)
    this.#last = headers
    this.#whole =
      position === undefined && expected === undefined ? this.#common : withOwn(this.#common, headers)
    return this.#whole
  }
}

/** All but the position and the expected offset, which come last; they are in the number. */
function encodeCommon({
  v,
  kind,
  shard,
  epoch,
  expected,
  reentering,
  trace,
  position,
}: RecordHeaders): Buffer {
  const pairs: [string, string][] = [['v', String(v)]]
  if (shard !== undefined) pairs.push(['writer', `${shard}:${epoch ?? ''}`])
  if (kind !== 'event') pairs.push(['kind', kind])
  if (reentering) pairs.push(['reentering', '1'])
  if (trace !== undefined) pairs.push(['traceparent', trace])
  const buffer = Buffer.allocUnsafe(LARGEST_WITHOUT_POSITION + (trace === undefined ? 0 : LARGEST_TRACE))
  const own = (position === undefined ? 0 : 1) + (expected === undefined ? 0 : 1)
  let at = writeVarint(buffer, 0, pairs.length + own)
  for (const pair of pairs) at = writeTexts(buffer, at, pair)
  return buffer.subarray(0, at)
}

function withOwn(common: Buffer, { expected, position }: RecordHeaders): Buffer {
  const text = position === undefined ? '' : formatPosition(position)
  const buffer = Buffer.allocUnsafe(common.length + EXPECTED_OVERHEAD + POSITION_OVERHEAD + text.length)
  buffer.set(common)
  let at = common.length
  if (expected !== undefined) at = writeTexts(buffer, at, ['expected', String(expected)])
  if (position !== undefined) at = writeTexts(buffer, at, ['position', text])
  return buffer.subarray(0, at)
}

/** All texts are ASCII: topics have no other names. */
function writeTexts(buffer: Buffer, start: number, texts: readonly string[]): number {
  let at = start
  for (const text of texts) {
    at = writeVarint(buffer, at, text.length)
    at += buffer.write(text, at, 'latin1')
  }
  return at
}
