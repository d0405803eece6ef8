import { DatabaseSync } from 'node:sqlite'
import { TapelineError } from '../../../errors.ts'
import { unopened } from './sqlite-errors.ts'

export interface LogFile {
  /** Path of the database, or ':memory:'. */
  readonly path: string
  /** What an acknowledged record survives: the end of the process, or loss of power too. */
  readonly durability: 'process' | 'power'
}

/** 2: batches have a checksum; 3: and the offsets that writers expected. The tables are those of 1, and older batches stay as they are. */
const SCHEMA_VERSION = 3

/**
 * `batches` holds the records of every partition. A row is a record batch; in compacted topics a batch has one record, and
 * the row its key, so that compaction is a delete. `log_start` and `log_end` of a partition are written when rows are
 * removed: otherwise the rows tell both. A partition without a topic is one of a deleted topic that still has rows.
 */
const SCHEMA = `
  create table topics (
    id text primary key,
    name text not null unique,
    compacted integer not null,
    retention_ms integer
  ) strict;
  create table deleted_topics (name text primary key) strict, without rowid;
  create table partitions (
    id integer primary key,
    topic text references topics (id) on delete set null,
    number integer not null,
    log_start integer not null default 0,
    log_end integer not null default 0
  ) strict;
  create index partitions_by_topic on partitions (topic, number);
  create table batches (
    id integer primary key,
    partition integer not null,
    next_offset integer not null,
    records integer not null,
    published integer not null,
    key text,
    tombstone integer not null,
    data blob not null
  ) strict;
  create unique index batches_by_offset on batches (partition, next_offset, published);
  create index batches_by_key on batches (partition, key, next_offset) where key is not null;
  create index tombstones on batches (partition, published) where tombstone = 1;
  create table group_positions (
    group_name text not null,
    topic text not null,
    partition integer not null,
    next_offset integer not null,
    committed integer not null,
    primary key (group_name, topic, partition)
  ) strict, without rowid;
`

const SYNCHRONOUS = { process: 'normal', power: 'full' } as const

/**
 * Opens the database of the log, making it where it is missing. Raises BROKER_FULL, and DATA_FOLDER_UNUSABLE, also where a newer
 * version of the program wrote it.
 *
 * Pages of 8 KiB: larger ones make blobs cheaper, smaller ones small commits. A checkpoint every 1,000 pages (8 MB) holds
 * the writer up for about 10 ms.
 */
export function openDatabase({ path, durability }: LogFile): DatabaseSync {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { timeout: 5_000 })
    database.exec(`
      pragma page_size = 8192;
      pragma auto_vacuum = incremental;
      pragma journal_mode = wal;
      pragma synchronous = ${SYNCHRONOUS[durability]};
      pragma wal_autocheckpoint = 1000;
      pragma cache_size = -16000;
      pragma temp_store = memory;
      pragma foreign_keys = on;
    `)
    migrate(database, path)
    return database
  } catch (error) {
    database?.close()
    if (error instanceof TapelineError) throw error
    throw unopened(error, `The log ${path} cannot be opened: ${(error as Error).message}.`)
  }
}

function migrate(database: DatabaseSync, path: string): void {
  const version = readNumber(database, 'user_version')
  if (version === SCHEMA_VERSION) return
  if (version > SCHEMA_VERSION) {
    throw new TapelineError(
      'DATA_FOLDER_UNUSABLE',
      `The log ${path} was written by a newer version (format ${version}; this one knows ${SCHEMA_VERSION}).`,
      { remedy: 'Run the newer version, or choose another folder with --data.' },
    )
  }
  const tables = version === 0 ? SCHEMA : ''
  inTransaction(database, () => database.exec(`${tables}; pragma user_version = ${SCHEMA_VERSION}`))
}

/** The value of a pragma that is a number. */
export function readNumber(
  database: DatabaseSync,
  pragma: 'user_version' | 'freelist_count' | 'page_count',
): number {
  const row = database.prepare(`pragma ${pragma}`).get()
  return Number(row?.[pragma])
}

/** Runs `work` in one transaction: all of it is written, or nothing. */
export function inTransaction<T>(database: DatabaseSync, work: () => T): T {
  database.exec('begin immediate')
  try {
    const result = work()
    database.exec('commit')
    return result
  } catch (error) {
    // SQLite rolls back by itself on some failures, such as a full disk.
    if (database.isTransaction) database.exec('rollback')
    throw error
  }
}
