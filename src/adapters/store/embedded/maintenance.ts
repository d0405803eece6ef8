import { compressNextChunk } from '../columnstore.ts'
import type { PolicySettings } from '../policies.ts'
import { dropOldestChunks } from '../retention.ts'
import { DatabaseError, type SqlSession } from '../session.ts'
import type { MaintenanceReport, MaintenanceRequest } from './protocol.ts'
import { refreshNextWindow } from './refresh.ts'
import { vacuumTargets } from './upkeep.ts'

type Load = MaintenanceRequest['load']

const CHECKPOINT_ROWS = 100_000
const CHECKPOINT_MS = 30_000
const VACUUM_ROWS = 100_000
/** How long a task rests that has failed. */
const FAILED_MS = 60_000

/**
 * Rows that one step may touch, which bounds how long everything else waits: 4 to 10 us a row. What is larger and cannot
 * be split, a bucket or a chunk, waits until hardly anything else is asked for.
 */
const STEP_ROWS: Readonly<Record<Load, number>> = { busy: 0, light: 100_000, idle: 500_000 }

const NOTHING: MaintenanceReport = { did: undefined, problem: undefined }

type TaskName = 'checkpoint' | 'refresh' | 'columnstore' | 'retention' | 'vacuum'

/** How long each task rests when it found nothing more to do. */
const REST_MS: Readonly<Record<TaskName, number>> = {
  checkpoint: 0,
  refresh: 10_000,
  columnstore: 60_000,
  retention: 600_000,
  vacuum: 600_000,
}

/**
 * What a server's background processes do and the WebAssembly build has none for: checkpointer, autovacuum and the jobs of
 * TimescaleDB. One small step at a time, when it is asked to. It rests until the schema has been brought up to date here:
 * who only reads a folder changes nothing in it.
 */
export class Maintenance {
  readonly #session: SqlSession
  readonly #now: () => number
  readonly #restsUntil = new Map<TaskName, number>()
  readonly #ranAt = new Map<TaskName, number>()
  readonly #toVacuum: string[] = []
  readonly #oversized = new Set<string>()
  #settings: PolicySettings | undefined
  #checkpointedAt: number
  #writes = 0
  #rows = 0
  #rowsToVacuum = 0

  constructor(session: SqlSession, now: () => number = Date.now) {
    this.#session = session
    this.#now = now
    this.#checkpointedAt = now()
  }

  begin(settings: PolicySettings): void {
    this.#settings = settings
  }

  /** Counts a write; `rows` is 0 for offsets alone. */
  wrote(rows: number): void {
    this.#writes++
    this.#rows += rows
    this.#rowsToVacuum += rows
  }

  /**
   * Does one step, if one is due that the load allows. Under load that is a checkpoint only, since the log of the
   * database would grow without bound. Failures of the database are reported, never thrown.
   */
  async step(load: Load): Promise<MaintenanceReport> {
    const settings = this.#settings
    if (settings === undefined) return NOTHING
    const task = this.#nextTask(load)
    if (task === undefined) return NOTHING
    this.#ranAt.set(task, this.#now())
    try {
      const report = await this.#run(task, settings, load)
      if (report.did === undefined) this.#rest(task, REST_MS[task])
      return { ...report, task }
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error
      this.#rest(task, FAILED_MS)
      return {
        task,
        failed: true,
        did: undefined,
        problem: `${task} failed: ${error.message} (${error.sqlState})`,
      }
    }
  }

  /** The last step before the database closes: the next start need not read what was written from its log again. */
  async finish(): Promise<void> {
    if (this.#writes > 0) await this.#checkpoint()
  }

  /** A due checkpoint, or else the task whose turn is longest ago. */
  #nextTask(load: Load): TaskName | undefined {
    const due = (task: TaskName) => this.#now() >= (this.#restsUntil.get(task) ?? 0)
    if (this.#checkpointIsDue() && due('checkpoint')) return 'checkpoint'
    if (load === 'busy') return undefined
    const others: TaskName[] = ['refresh', 'columnstore', 'retention', 'vacuum']
    return others
      .filter(due)
      .toSorted((a, b) => (this.#ranAt.get(a) ?? 0) - (this.#ranAt.get(b) ?? 0))
      .at(0)
  }

  #checkpointIsDue(): boolean {
    if (this.#rows >= CHECKPOINT_ROWS) return true
    return this.#writes > 0 && this.#now() - this.#checkpointedAt >= CHECKPOINT_MS
  }

  async #run(task: TaskName, settings: PolicySettings, load: Load): Promise<MaintenanceReport> {
    switch (task) {
      case 'checkpoint':
        await this.#checkpoint()
        return { did: 'checkpoint', problem: undefined }
      case 'refresh':
        return done(
          await refreshNextWindow(this.#session, {
            now: this.#now(),
            maxRows: STEP_ROWS[load],
            largeBuckets: load === 'idle',
            retentionMs: settings.retentionMs,
          }),
        )
      case 'columnstore':
        return this.#compress(settings, load)
      case 'retention':
        if (settings.retentionMs === undefined) return NOTHING
        return done(await dropOldestChunks(this.#session, this.#now() - settings.retentionMs))
      case 'vacuum':
        return done(await this.#vacuum())
    }
  }

  async #checkpoint(): Promise<void> {
    await this.#session.execute('checkpoint')
    this.#writes = 0
    this.#rows = 0
    this.#checkpointedAt = this.#now()
  }

  async #compress({ columnstoreAfterMs }: PolicySettings, load: Load): Promise<MaintenanceReport> {
    if (columnstoreAfterMs === undefined) return NOTHING
    const { compressed, larger } = await compressNextChunk(
      this.#session,
      this.#now() - columnstoreAfterMs,
      STEP_ROWS[load],
    )
    const oversized = larger.find(({ rows, chunk }) => rows > STEP_ROWS.idle && !this.#oversized.has(chunk))
    if (oversized === undefined) return done(compressed)
    this.#oversized.add(oversized.chunk)
    return {
      did: compressed,
      problem:
        `columnstore: ${oversized.chunk} has about ${oversized.rows} rows, too many to compress without stopping ` +
        'everything else, and stays as it is; a shorter chunk interval helps for new ones',
    }
  }

  /** One table a step. */
  async #vacuum(): Promise<string | undefined> {
    if (this.#toVacuum.length === 0) {
      if (this.#rowsToVacuum < VACUUM_ROWS) return undefined
      this.#toVacuum.push(...(await vacuumTargets(this.#session)))
      this.#rowsToVacuum = 0
    }
    const target = this.#toVacuum.shift()
    if (target === undefined) return undefined
    await this.#session.execute(`vacuum (analyze) ${target}`)
    return `vacuum ${target}`
  }

  #rest(task: TaskName, milliseconds: number): void {
    this.#restsUntil.set(task, this.#now() + milliseconds)
  }
}

function done(did: string | undefined): MaintenanceReport {
  return { did, problem: undefined }
}
