import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { TapelineError } from '../../../errors.ts'
import type { StoredRecord } from '../../../ports/broker.ts'
import type { BatchRow, BatchStore } from './batch-store.ts'
import { inTransaction } from './database.ts'
import type { EncodedEntry, RequestOf } from './protocol.ts'
import { decodeBatch, encodeSingle } from './record-batch.ts'
import type { Partition, TopicCatalog } from './topic-catalog.ts'

type Append = RequestOf<'append'>
type CommitPositions = RequestOf<'commitPositions'>

/** How one write ended: `outcome` returns the reply or throws. */
interface WriteOutcome {
  readonly id: number
  readonly outcome: () => number[] | null
}

/** Where a partition stands within a transaction that has not been committed yet. */
interface Tail {
  end: number
  lastPublished: number
}

/** Appends in groups: one transaction for all writes that arrived together, each of which is written as a whole or refused. */
export class BatchAppender {
  readonly #database: DatabaseSync
  readonly #catalog: TopicCatalog
  readonly #store: BatchStore
  readonly #savePosition: StatementSync

  constructor(database: DatabaseSync, catalog: TopicCatalog, store: BatchStore) {
    this.#database = database
    this.#catalog = catalog
    this.#store = store
    this.#savePosition = database.prepare(`
      insert into group_positions (group_name, topic, partition, next_offset, committed) values (?, ?, ?, ?, ?)
      on conflict do update set next_offset = excluded.next_offset, committed = excluded.committed`)
  }

  /** Writes what can be written; a failure of the database fails all of the group. */
  write(writes: readonly (Append | CommitPositions)[]): WriteOutcome[] {
    const tails = new Map<Partition, Tail>()
    try {
      const outcomes = inTransaction(this.#database, () =>
        writes.map((write) => this.#writeOne(write, tails)),
      )
      for (const [partition, tail] of tails) {
        if (partition.end === tail.end) continue
        partition.end = tail.end
        partition.lastPublished = tail.lastPublished
        partition.uncompacted = partition.topic.compacted
        for (const reader of partition.subscribers) reader.notifyAppended()
      }
      return outcomes
    } catch (error) {
      const outcome = () => {
        throw error
      }
      return writes.map(({ id }) => ({ id, outcome }))
    }
  }

  #writeOne(write: Append | CommitPositions, tails: Map<Partition, Tail>): WriteOutcome {
    const { id } = write
    if (write.op === 'commitPositions') {
      for (const { topic, partition, offset } of write.positions) {
        this.#savePosition.run(write.group, topic, partition, offset, write.timestamp)
      }
      return { id, outcome: () => null }
    }
    let prepared: PreparedEntry[]
    try {
      prepared = this.#prepare(write)
    } catch (error) {
      const outcome = () => {
        throw error
      }
      return { id, outcome }
    }
    const baseOffsets = prepared.map((entry) => this.#append(entry, write.timestamp, tails))
    return { id, outcome: () => baseOffsets }
  }

  /** Everything that can be refused is refused here, before anything of the write is in the transaction. */
  #prepare({ entries, data }: Append): PreparedEntry[] {
    return entries.map((entry) => {
      const partition = this.#catalog.partition(entry.topic, entry.partition)
      return { partition, rows: partition.topic.compacted ? keyedRows(entry, data) : batchRows(entry, data) }
    })
  }

  #append({ partition, rows }: PreparedEntry, timestamp: number, tails: Map<Partition, Tail>): number {
    let tail = tails.get(partition)
    if (tail === undefined) {
      tail = { end: partition.end, lastPublished: partition.lastPublished }
      tails.set(partition, tail)
    }
    const baseOffset = tail.end
    tail.lastPublished = Math.max(tail.lastPublished, timestamp)
    for (const row of rows) {
      tail.end += row.records
      this.#store.insert(partition, tail.end, tail.lastPublished, row)
    }
    return baseOffset
  }
}

interface PreparedEntry {
  readonly partition: Partition
  readonly rows: readonly BatchRow[]
}

function batchRows(entry: EncodedEntry, data: ArrayBuffer): BatchRow[] {
  return entry.batches.map(({ records, start, end }) => ({
    records,
    key: null,
    tombstone: false,
    data: new Uint8Array(data, start, end - start),
  }))
}

function keyedRows(entry: EncodedEntry, data: ArrayBuffer): BatchRow[] {
  const records: StoredRecord[] = []
  for (const { start, end } of entry.batches) {
    decodeBatch(
      new Uint8Array(data, start, end - start),
      { baseOffset: 0, timestamp: 0, fromOffset: 0 },
      records,
    )
  }
  return records.map((record) => {
    if (record.key === null) {
      throw new TapelineError('INPUT_INVALID', `Topic ${entry.topic} is compacted: its records need keys.`)
    }
    return { records: 1, key: record.key, tombstone: record.value === null, data: encodeSingle(record) }
  })
}
