import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Partition } from './topic-catalog.ts'

/** A row of `batches` to be written. */
export interface BatchRow {
  readonly records: number
  /** Of compacted topics. */
  readonly key: string | null
  readonly tombstone: boolean
  readonly data: Uint8Array
}

/** A row of `batches` as read. */
export interface StoredBatch {
  readonly baseOffset: number
  readonly nextOffset: number
  readonly timestamp: number
  readonly data: Uint8Array
}

/** Rows of `batches`: append, read, find by time. */
export class BatchStore {
  readonly #insert: StatementSync
  readonly #read: StatementSync
  readonly #find: StatementSync

  constructor(database: DatabaseSync) {
    this.#insert = database.prepare(`
      insert into batches (partition, next_offset, records, published, key, tombstone, data)
      values (?, ?, ?, ?, ?, ?, ?)`)
    this.#read = database.prepare(`
      select next_offset, records, published, data from batches
      where partition = ? and next_offset > ? order by next_offset`)
    this.#find = database.prepare(`
      select next_offset, records, published from batches
      where partition = ? and next_offset > ? order by next_offset limit 1`)
  }

  insert(partition: Partition, nextOffset: number, published: number, row: BatchRow): void {
    const { records, key, tombstone, data } = row
    this.#insert.run(partition.id, nextOffset, records, published, key, Number(tombstone), data)
  }

  /** Batches from the one that holds `offset`, or the first after it, for as long as the caller takes them. */
  *read(partition: Partition, offset: number): Generator<StoredBatch> {
    for (const row of this.#read.iterate(partition.id, offset)) {
      const nextOffset = Number(row['next_offset'])
      yield {
        baseOffset: nextOffset - Number(row['records']),
        nextOffset,
        timestamp: Number(row['published']),
        data: row['data'] as Uint8Array,
      }
    }
  }

  /**
   * The first offset published at or after a time, or the end. Both offsets and times rise within a partition, so that it
   * is found by halving the range of offsets.
   */
  offsetAt({ id, earliest, end }: Partition, timestamp: number): number {
    let low = earliest
    let high = end
    let found = end
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const row = this.#find.get(id, middle)
      if (row === undefined) {
        high = middle
        continue
      }
      const next = Number(row['next_offset'])
      const base = next - Number(row['records'])
      if (Number(row['published']) < timestamp) low = next
      else {
        found = base
        high = Math.min(middle, base)
      }
    }
    return found
  }
}
