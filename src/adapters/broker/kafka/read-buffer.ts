import type { PartitionFetch, StoredRecord } from '../../../ports/broker.ts'
import type { FetchedBatches } from './record-decoder.ts'

/** What one fetch gave of one partition, decoded as it is taken. */
export interface FetchedPiece {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly batches: FetchedBatches
  readonly bytes: number
  readonly endOffset: number
}

type Records = PartitionFetch & { readonly kind: 'records' }
type Notice = PartitionFetch & { readonly kind: 'truncated' | 'deleted' }

interface Waiting {
  readonly pieces: FetchedPiece[]
  /** Decoded already, and not taken. */
  rest: StoredRecord[]
  /** Told when everything before is taken. */
  notice: Notice | undefined
}

/** What a reader has fetched ahead, taken in turns of the partitions. */
export class ReadBuffer {
  readonly #waiting = new Map<string, Waiting>()
  #bytes = 0

  /** Bytes of fetches that are not all taken. */
  get bytes(): number {
    return this.#bytes
  }

  add(key: string, piece: FetchedPiece): void {
    this.#of(key).pieces.push(piece)
    this.#bytes += piece.bytes
  }

  /** Something to tell of a partition, behind what it holds. */
  tell(key: string, notice: Notice): void {
    this.#of(key).notice = notice
  }

  /** Forgets a partition. */
  drop(key: string): void {
    for (const { bytes } of this.#waiting.get(key)?.pieces ?? []) this.#bytes -= bytes
    this.#waiting.delete(key)
  }

  /** Takes about so many records, an equal share of each partition; who was served goes to the end of the queue. */
  take(maxRecords: number): PartitionFetch[] {
    const taken: PartitionFetch[] = []
    let left = Math.max(1, maxRecords)
    const share = Math.ceil(left / Math.max(1, this.#waiting.size))
    for (const [key, waiting] of [...this.#waiting]) {
      if (left <= 0) break
      this.#waiting.delete(key)
      const fetch = this.#takeShare(waiting, share)
      if (fetch !== undefined) {
        taken.push(fetch)
        left -= fetch.records.length
      }
      if (waiting.pieces.length > 0) this.#waiting.set(key, waiting)
      else if (waiting.notice !== undefined) taken.push(waiting.notice)
    }
    return taken
  }

  #of(key: string): Waiting {
    const known = this.#waiting.get(key)
    if (known !== undefined) return known
    const waiting = { pieces: [], rest: [], notice: undefined }
    this.#waiting.set(key, waiting)
    return waiting
  }

  #takeShare(waiting: Waiting, share: number): Records | undefined {
    const [first] = waiting.pieces
    if (first === undefined) return undefined
    const records = waiting.rest
    waiting.rest = []
    let { nextOffset } = first.batches
    let { endOffset } = first
    for (let piece = waiting.pieces[0]; piece !== undefined; piece = waiting.pieces[0]) {
      piece.batches.read(records, share)
      nextOffset = piece.batches.nextOffset
      endOffset = piece.endOffset
      if (!piece.batches.isDone || records.length > share) break
      waiting.pieces.shift()
      this.#bytes -= piece.bytes
      if (records.length >= share) break
    }
    if (records.length > share) {
      waiting.rest = records.splice(share)
      nextOffset = waiting.rest[0]?.offset ?? nextOffset
    }
    const { topic, topicId, partition } = first
    endOffset = Math.max(endOffset, nextOffset)
    return { kind: 'records', topic, topicId, partition, records, nextOffset, endOffset }
  }
}
