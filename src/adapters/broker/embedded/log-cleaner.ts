import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { inTransaction, readNumber } from './database.ts'
import type { Partition, TopicCatalog } from './topic-catalog.ts'

/** A tombstone stays at least so long, for readers that are behind. */
export const TOMBSTONE_RETENTION_MS = 60 * 60 * 1000

/** A step removes at most so many batches, or looks at so many records, so that it holds nobody up for long. */
const STEP_BATCHES = 64
const STEP_RECORDS = 500
/** Space is given back to the file system when more than a quarter of the file, and more than this, is free. */
const MIN_FREE_PAGES = 1_000
const STEP_PAGES = 256

/** Removes what nobody will read: retention, compaction, the rows of deleted topics; and gives space back. */
export class LogCleaner {
  readonly #database: DatabaseSync
  readonly #catalog: TopicCatalog
  readonly #oldest: StatementSync
  readonly #expired: StatementSync
  readonly #superseded: StatementSync
  readonly #expiredTombstones: StatementSync
  readonly #orphanedBatches: StatementSync
  readonly #deleteBatch: StatementSync
  readonly #saveRange: StatementSync
  readonly #orphanedPartitions: StatementSync
  readonly #deletePartition: StatementSync

  constructor(database: DatabaseSync, catalog: TopicCatalog) {
    this.#database = database
    this.#catalog = catalog
    this.#oldest = database.prepare(
      'select published from batches where partition = ? order by next_offset limit 1',
    )
    this.#expired = database.prepare(`
      select id, next_offset, published from batches where partition = ?
      order by next_offset limit ${STEP_BATCHES}`)
    this.#superseded = database.prepare(`
      select id, next_offset, exists (
        select 1 from batches as newer
        where newer.partition = old.partition and newer.key = old.key and newer.next_offset > old.next_offset
      ) as superseded
      from batches as old where partition = ? and next_offset > ? order by next_offset limit ${STEP_RECORDS}`)
    this.#expiredTombstones = database.prepare(`
      select id from batches where partition = ? and tombstone = 1 and published < ? limit ${STEP_BATCHES}`)
    this.#orphanedBatches = database.prepare(
      `select id from batches where partition = ? limit ${STEP_BATCHES}`,
    )
    this.#deleteBatch = database.prepare('delete from batches where id = ?')
    this.#saveRange = database.prepare('update partitions set log_start = ?, log_end = ? where id = ?')
    this.#orphanedPartitions = database.prepare('select id from partitions where topic is null')
    this.#deletePartition = database.prepare('delete from partitions where id = ?')
  }

  /** Does all there is to do at the time `now` (ms), step by step: other work may come between any two. */
  *clean(now: number): Generator<void> {
    yield* this.#purge()
    for (const topic of [...this.#catalog.topics]) {
      for (const partition of topic.partitions) {
        if (topic.compacted) yield* this.#compact(partition, now)
        else if (topic.retentionMs !== undefined) yield* this.#expire(partition, now - topic.retentionMs)
        yield
      }
    }
    yield* this.#giveSpaceBack()
  }

  /** Removes the batches published before a time: a prefix of the log, as times rise with offsets. */
  *#expire(partition: Partition, before: number): Generator<void> {
    for (;;) {
      const oldest = this.#oldest.get(partition.id)
      if (oldest === undefined || Number(oldest['published']) >= before) return
      const expired = this.#expired.all(partition.id).filter((row) => Number(row['published']) < before)
      const earliest = Number(expired.at(-1)?.['next_offset'])
      inTransaction(this.#database, () => {
        for (const row of expired) this.#deleteBatch.run(Number(row['id']))
        this.#saveRange.run(earliest, partition.end, partition.id)
      })
      partition.earliest = earliest
      yield
    }
  }

  /** Leaves the last record of each key, and removes it too where it is an old tombstone. */
  *#compact(partition: Partition, now: number): Generator<void> {
    if (partition.uncompacted) {
      // Set again by an append during the pass; and where the pass fails, as what a tombstone covers must go before it.
      partition.uncompacted = false
      try {
        yield* this.#removeSuperseded(partition)
      } catch (error) {
        partition.uncompacted = true
        throw error
      }
    }
    for (;;) {
      const rows = this.#expiredTombstones.all(partition.id, now - TOMBSTONE_RETENTION_MS)
      if (rows.length === 0) return
      inTransaction(this.#database, () => {
        for (const row of rows) this.#deleteBatch.run(Number(row['id']))
        this.#saveRange.run(partition.earliest, partition.end, partition.id)
      })
      yield
    }
  }

  *#removeSuperseded(partition: Partition): Generator<void> {
    let position = partition.earliest
    for (;;) {
      const rows = this.#superseded.all(partition.id, position)
      if (rows.length === 0) return
      inTransaction(this.#database, () => {
        for (const row of rows) if (row['superseded'] === 1) this.#deleteBatch.run(Number(row['id']))
      })
      position = Number(rows.at(-1)?.['next_offset'])
      yield
    }
  }

  *#purge(): Generator<void> {
    for (const orphan of this.#orphanedPartitions.all()) {
      const partition = Number(orphan['id'])
      for (;;) {
        const rows = this.#orphanedBatches.all(partition)
        inTransaction(this.#database, () => {
          for (const row of rows) this.#deleteBatch.run(Number(row['id']))
          if (rows.length === 0) this.#deletePartition.run(partition)
        })
        yield
        if (rows.length === 0) break
      }
    }
  }

  *#giveSpaceBack(): Generator<void> {
    const limit = () => Math.max(MIN_FREE_PAGES, readNumber(this.#database, 'page_count') / 4)
    while (readNumber(this.#database, 'freelist_count') > limit()) {
      this.#database.exec(`pragma incremental_vacuum(${STEP_PAGES})`)
      yield
    }
  }
}
