import { toTapelineError } from '../../../errors.ts'
import type { StoredRecord } from '../../../ports/broker.ts'
import { type Damage, findDamage } from './batch-damage.ts'
import { HeaderDecoder } from './header-decoder.ts'
import { AT, BATCH_HEAD_BYTES, decodeRecords, endOf, lastOffsetOf, readInt64 } from './record-decoder.ts'

const TRANSACTIONAL = 1 << 4
const CONTROL = 1 << 5

export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}

/** Offsets that nobody can read, and the bytes in which they lie. */
export interface UnreadableSpan {
  readonly offset: number
  readonly nextOffset: number
  readonly bytes: Buffer
  readonly reason: string
}

/** What one fetch gave of one partition. */
interface Fetched {
  /** May end in the middle of a batch, which then is not there yet. */
  readonly bytes: Buffer
  readonly aborted: readonly AbortedTransaction[]
  /** The end of the partition for readers of committed records. */
  readonly lastStableOffset: number
}

/**
 * The batches that one fetch gave of one partition, decoded one after the other. Control batches, records of aborted
 * transactions, and what lies in front of the wanted offset are passed over. Checksums are looked at as soon as the bytes are here.
 */
export class FetchedBatches {
  #bytes: Buffer
  readonly #headers = new HeaderDecoder()
  readonly #starting: AbortedTransaction[]
  readonly #aborted = new Set<number>()
  /** Batches that are damaged, by where they begin. */
  readonly #damages = new Map<number, Damage>()
  #at = 0
  /** The offset after all that was decoded. */
  nextOffset: number
  /** The offset after all that is there, decoded or not. */
  readonly end: number
  /** Whether the bytes end in front of a batch that is damaged, and may come whole the next time. */
  readonly isCut: boolean

  /** Bytes are cut in front of the first batch that is damaged, unless those are the bytes that the log has: `isFinal`. */
  constructor({ bytes, aborted, lastStableOffset }: Fetched, from: number, isFinal: boolean) {
    this.#bytes = bytes
    this.nextOffset = from
    this.#starting = aborted.toSorted((a, b) => a.firstOffset - b.firstOffset)
    let next = from
    let isCut = false
    for (let at = 0, end = 0; at < bytes.length; at = end) {
      const found = findDamage(bytes, at, next, lastStableOffset)
      if (found === 'partial') break
      if (found !== undefined && !isFinal) {
        this.#bytes = bytes.subarray(0, at)
        isCut = true
        break
      }
      if (found !== undefined) this.#damages.set(at, found)
      end = found?.end ?? endOf(bytes, at)
      next = Math.max(next, found?.nextOffset ?? lastOffsetOf(bytes, at) + 1)
    }
    this.end = next
    this.isCut = isCut
  }

  get isDone(): boolean {
    return this.#end(this.#at) === undefined
  }

  /**
   * Decodes batches until so many records are in `into` or nothing is left; or up to one that cannot be read, which it gives. Views
   * of the fetched bytes.
   */
  read(into: StoredRecord[], maxRecords: number): UnreadableSpan | undefined {
    for (
      let end = this.#end(this.#at);
      end !== undefined && into.length < maxRecords;
      end = this.#end(this.#at)
    ) {
      const start = this.#at
      this.#at = end
      const unreadable = this.#readBatch(start, end, into)
      if (unreadable !== undefined) return unreadable
    }
    return undefined
  }

  /** Where the batch ends that begins there; undefined where none does that is whole. */
  #end(start: number): number | undefined {
    const damage = this.#damages.get(start)
    if (damage !== undefined) return damage.end
    if (this.#bytes.length - start < BATCH_HEAD_BYTES) return undefined
    const end = endOf(this.#bytes, start)
    return end <= this.#bytes.length ? end : undefined
  }

  #readBatch(start: number, end: number, into: StoredRecord[]): UnreadableSpan | undefined {
    const damage = this.#damages.get(start)
    if (damage !== undefined) return this.#unreadable(start, damage)
    const lastOffset = lastOffsetOf(this.#bytes, start)
    const before = into.length
    try {
      if (this.#admit(start, lastOffset) && lastOffset >= this.nextOffset)
        decodeRecords(this.#bytes, start, end, this.nextOffset, this.#headers, into)
    } catch (thrown) {
      into.length = before
      const { message: reason } = toTapelineError(thrown)
      return this.#unreadable(start, { end, nextOffset: lastOffset + 1, reason })
    }
    this.nextOffset = Math.max(this.nextOffset, lastOffset + 1)
    return undefined
  }

  #unreadable(start: number, { end, nextOffset, reason }: Damage): UnreadableSpan | undefined {
    const from = this.nextOffset
    if (nextOffset <= from) return undefined
    this.nextOffset = nextOffset
    const base = readInt64(this.#bytes, start)
    const offset = base > from && base < nextOffset ? base : from
    return { offset, nextOffset, bytes: this.#bytes.subarray(start, end), reason }
  }

  /** Takes note of aborted transactions, and gives whether readers see the batch. */
  #admit(start: number, lastOffset: number): boolean {
    const attributes = this.#bytes.readInt16BE(start + AT.attributes)
    for (
      let next = this.#starting[0];
      next !== undefined && next.firstOffset <= lastOffset;
      next = this.#starting[0]
    ) {
      this.#aborted.add(next.producerId)
      this.#starting.shift()
    }
    if ((attributes & (CONTROL | TRANSACTIONAL)) === 0) return true
    const producerId = readInt64(this.#bytes, start + AT.producerId)
    if ((attributes & CONTROL) !== 0) {
      this.#aborted.delete(producerId)
      return false
    }
    return !this.#aborted.has(producerId)
  }
}
