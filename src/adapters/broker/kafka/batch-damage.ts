import { checksum } from './checksum.ts'
import { AT, BATCH_HEAD_BYTES, endOf, lastOffsetOf, MAGIC, readInt64 } from './record-decoder.ts'

/** A batch that is not as it was written. */
export interface Damage {
  /** Where the next one begins, in the bytes and in the log. */
  readonly end: number
  readonly nextOffset: number
  readonly reason: string
}

/** What batches of all formats begin with: offset, length, four bytes, format. */
const SHORTEST_HEAD_BYTES = 17
/** A batch whose head is wrong may name any offset: one so far from the end of the log is not believed. */
const FARTHEST = 1_000_000

/**
 * What is wrong with the batch that begins at a place; `partial` where it is cut off, as the last one of a fetch may be.
 * `position` is the offset after the batch before, `endOffset` about the end of the partition. The first batch of a fetch is
 * always whole (https://cwiki.apache.org/confluence/display/KAFKA/KIP-74).
 */
export function findDamage(
  bytes: Buffer,
  at: number,
  position: number,
  endOffset: number,
): Damage | 'partial' | undefined {
  const left = bytes.length - at
  if (left < SHORTEST_HEAD_BYTES) {
    if (at > 0) return 'partial'
    return { end: bytes.length, nextOffset: Math.max(position + 1, endOffset), reason: 'it is cut off' }
  }
  const format = bytes.readInt8(at + AT.magic)
  const end = endOf(bytes, at)
  const shortest = format === MAGIC ? BATCH_HEAD_BYTES : SHORTEST_HEAD_BYTES
  const isTooShort = end - at < shortest
  if (end > bytes.length && at > 0 && !isTooShort) return 'partial'
  const reason =
    isTooShort || end > bytes.length
      ? `its length cannot be (${end - at} bytes)`
      : damageOf(bytes, at, end, format)
  if (reason === undefined) return undefined
  // Its length may be wrong too: what follows is looked for, and believed if its checksum is right.
  const next = findBatch(bytes, at + 1, position)
  if (next !== undefined) return { ...next, reason }
  if (isTooShort || end > bytes.length)
    return { end: bytes.length, nextOffset: Math.max(position + 1, endOffset), reason }
  return { end, nextOffset: nextOffsetOf(bytes, at, position, endOffset), reason }
}

function damageOf(bytes: Buffer, at: number, end: number, format: number): string | undefined {
  if (format !== MAGIC) return `its format is ${format}, and only ${MAGIC} is known`
  const isIntact = checksum(bytes.subarray(at + AT.attributes, end)) === bytes.readUInt32BE(at + AT.crc)
  return isIntact ? undefined : 'its checksum is wrong'
}

/** Where to go on after a batch of which only the head tells, which may be wrong too. */
function nextOffsetOf(bytes: Buffer, at: number, position: number, endOffset: number): number {
  const isOfMagic = bytes.readInt8(at + AT.magic) === MAGIC
  const last = isOfMagic ? lastOffsetOf(bytes, at) : readInt64(bytes, at)
  const isLikely = last >= position && last < endOffset + FARTHEST
  return isLikely ? last + 1 : Math.max(position + 1, endOffset)
}

/** The first batch from a place on that is as it was written: where it begins, and at which offset. */
function findBatch(
  bytes: Buffer,
  from: number,
  position: number,
): { readonly end: number; readonly nextOffset: number } | undefined {
  for (let at = from; bytes.length - at >= BATCH_HEAD_BYTES; at++) {
    if (bytes[at + AT.magic] !== MAGIC) continue
    const end = endOf(bytes, at)
    if (end - at < BATCH_HEAD_BYTES || end > bytes.length || readInt64(bytes, at) <= position) continue
    if (damageOf(bytes, at, end, MAGIC) === undefined) return { end: at, nextOffset: readInt64(bytes, at) }
  }
  return undefined
}
