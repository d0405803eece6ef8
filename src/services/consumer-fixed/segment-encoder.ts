import { cutBook } from '../../domain/book-levels.ts'
import { decodeEvent, EVENT_VERSION, type RecordOf } from '../../domain/event-codec.ts'
import type { Book } from '../../domain/events.ts'
import { copyMemory, type ReaderMemory } from '../../domain/reader-rules.ts'
import { type RowWriter, type StoredChannel, TABLES } from '../../domain/rows.ts'
import { writeTradeBytes } from '../../domain/trade-bytes.ts'
import type { StoredRecord } from '../../ports/broker.ts'
import type { ChunkSpread, WriteSlice } from '../../ports/pipeline.ts'
import type { PartitionWrite, RowBuffer, RowMemory, RowSegment } from '../../ports/store.ts'
import { chunkCount, joinSpreads, MOST_CHUNKS, NO_CHUNKS } from './chunk-spread.ts'

/** What the rows of a partition are encoded for. */
interface EncoderOptions {
  readonly channel: StoredChannel
  readonly memory: RowMemory
  /** What a reader remembers after the last record. */
  readonly reader: ReaderMemory
  /** So many levels of each side of a book are stored. */
  readonly bookLevels: number
  /** The event time that a chunk of the table spans at the least. */
  readonly chunkMicros: number
}

/** How much of a writer's rows lies before a place. */
interface Filled {
  readonly bytes: number
  readonly rows: number
}

/** Where a slice ends: the next one begins there. */
interface Cut {
  readonly offset: number
  readonly reader: ReaderMemory
  readonly first: Filled
  readonly again: Filled
  readonly chunks: ChunkSpread
  readonly times: PartitionWrite['times']
}

/** A batch in so many chunks is of the past, not of now. */
const MANY_CHUNKS = 16

const NOTHING: Filled = { bytes: 0, rows: 0 }

/**
 * Encodes the records of one partition; those that enter again apart from the others. Cuts rows in more chunks than a transaction should touch
 * into slices.
 */
export class SegmentEncoder {
  readonly #options: EncoderOptions
  readonly #first: RowBuffer
  readonly #again: RowBuffer
  readonly #cuts: Cut[] = []
  /** The chunks of the slice that is being filled. */
  readonly #chunks = new Set<number>()
  #spread = NO_CHUNKS
  /** The chunk of the last row that does not enter again; nearly always also the next row's. */
  #chunk = Number.NaN

  constructor(options: EncoderOptions) {
    this.#options = options
    this.#first = options.memory.buffer()
    this.#again = options.memory.smallBuffer()
  }

  /** Raises what `decodeEvent` raises, and writes nothing then. */
  add({ headers, offset }: StoredRecord, value: Uint8Array): void {
    const { channel, chunkMicros, reader, bookLevels } = this.#options
    if (channel === 'book' && isBookChange(value)) return
    const { latest = -1 } = reader
    // Of a candle the last word counts, also where it is said again.
    const mayHaveTo = channel === 'candle' ? -1 : (reader.mayHaveTo ?? -1)
    let to = headers.reentering === true ? this.#again : this.#first
    if (channel !== 'trade' || headers.v !== EVENT_VERSION || !writeTradeBytes(to, value, mayHaveTo)) {
      const event = decodeEvent(channel, value, headers.v)
      // The store looks a possible repeat up, like an event that enters again.
      if (('maybe' in event && event.maybe) || event.ts <= mayHaveTo) to = this.#again
      if (channel === 'book') writeRow(to, channel, cutBook(event as Book, bookLevels))
      else writeRow(to, channel, event)
    }
    const chunk = Math.floor(to.time / chunkMicros)
    if (to === this.#again || chunk !== this.#chunk) this.#place(to, chunk, offset)
    if (to.time > latest) reader.latest = to.time
  }

  /** The rows, and the same rows in slices. `before`: rows of another table that go with the first slice. */
  finish(
    newOffset: number,
    before: readonly RowSegment[],
  ): { readonly segments: readonly RowSegment[]; readonly slices: readonly WriteSlice[] } {
    const { reader } = this.#options
    const end: Cut = {
      ...{ offset: newOffset, reader, chunks: this.#spread, times: this.#times() },
      ...{ first: filled(this.#first), again: filled(this.#again) },
    }
    const first = this.#segment(this.#first, false)
    const again = this.#segment(this.#again, true)
    const slices = [...this.#cuts, end].map((cut, i): WriteSlice => {
      const former = this.#cuts[i - 1]
      const rows = [
        piece(first, former?.first ?? NOTHING, cut.first),
        piece(again, former?.again ?? NOTHING, cut.again),
      ].filter((segment) => segment.rows > 0)
      const segments = i === 0 ? [...before, ...rows] : rows
      const { offset, reader, chunks, times } = cut
      return { newOffset: offset, memory: reader, segments, chunks, ...(times && { times }) }
    })
    return { segments: [...before, first, again].filter(({ rows }) => rows > 0), slices }
  }

  /** Takes note of the last row's chunk. If the slice has too many chunks with it, the row begins the next slice. */
  #place(to: RowBuffer, chunk: number, offset: number): void {
    const lookedUp = to === this.#again
    const isNew = !lookedUp && !this.#chunks.has(chunk)
    const own = lookedUp ? { direct: 0, low: chunk, high: chunk } : { ...NO_CHUNKS, direct: isNew ? 1 : 0 }
    const joined = joinSpreads(this.#spread, own)
    const isCut = this.#spread !== NO_CHUNKS && chunkCount(joined) > MOST_CHUNKS
    if (isCut) this.#cut(to, offset)
    this.#spread = isCut ? own : joined
    if (lookedUp) return
    this.#chunks.add(chunk)
    this.#chunk = chunk
  }

  #cut(to: RowBuffer, offset: number): void {
    const other = to === this.#first ? this.#again : this.#first
    const [before, whole] = [{ bytes: to.rowStart, rows: to.rows - 1 }, filled(other)]
    const [first, again] = to === this.#first ? [before, whole] : [whole, before]
    const reader = copyMemory(this.#options.reader)
    this.#cuts.push({ offset, reader, first, again, chunks: this.#spread, times: this.#times() })
    this.#chunks.clear()
    this.#chunk = Number.NaN
  }

  /** The event times of the slice that is being filled, if it is of the past. */
  #times(): PartitionWrite['times'] {
    if (this.#chunks.size < MANY_CHUNKS) return undefined
    const { chunkMicros } = this.#options
    return {
      from: Math.min(...this.#chunks) * chunkMicros,
      to: (Math.max(...this.#chunks) + 1) * chunkMicros,
    }
  }

  #segment(buffer: RowBuffer, reentering: boolean): RowSegment {
    const { channel, memory } = this.#options
    return { channel, tuples: memory.finish(buffer), rows: buffer.rows, reentering }
  }
}

function filled({ length, rows }: RowBuffer): Filled {
  return { bytes: length, rows }
}

function piece(segment: RowSegment, from: Filled, to: Filled): RowSegment {
  return { ...segment, tuples: segment.tuples.subarray(from.bytes, to.bytes), rows: to.rows - from.rows }
}

/** Writes an event as a row of its table. */
export function writeRow<C extends StoredChannel>(to: RowWriter, channel: C, event: RecordOf[C]): void {
  TABLES[channel].write(to, event)
}

/** Whether the JSON of a book is a change, which makes no row. They are most of what comes, so it is told without parsing them. */
function isBookChange(value: Uint8Array): boolean {
  const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  return text.includes('"snapshot":false') && !text.includes('"doubt":')
}
