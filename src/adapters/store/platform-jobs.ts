import { isoMicros } from '../../domain/time.ts'
import type { StoreJob } from '../../ports/store.ts'
import { detectCapabilities } from './capabilities.ts'
import { compressNextChunk } from './columnstore.ts'
import { AGGREGATES, type PolicySettings } from './policies.ts'
import { dropOldestChunks } from './retention.ts'
import { DatabaseError, records, type SqlSession } from './session.ts'
import { chunkExtent, hypertableId } from './time-windows.ts'

/** One process at a time does the work, whoever comes first. */
const LOCK = 7_265_726_502
const DAY_MICROS = 86_400_000_000

/**
 * What the jobs of a server would do, by statements of our own: refresh candles, compress chunks, remove them. None of it goes by
 * TimescaleDB's jobs, so that it works where these do not, whatever the reason.
 */
export class PlatformJobs {
  readonly #settings: PolicySettings
  readonly #now: () => number
  readonly #failures = new Map<string, string | undefined>()
  readonly #refreshedAt = new Map<string, number>()
  #isCaughtUp = false

  constructor(settings: PolicySettings, now: () => number = Date.now) {
    this.#settings = settings
    this.#now = now
  }

  /** Does all that is due, unless another process is doing it. A task that fails is tried again the next time; the others go on. */
  async tend(session: SqlSession): Promise<readonly StoreJob[]> {
    const [lock] = records(await session.rows(`select pg_try_advisory_lock(${LOCK}) as taken`))
    if (lock?.['taken'] !== 't') return []
    try {
      await this.#work(session)
    } finally {
      await session.execute(`select pg_advisory_unlock(${LOCK})`)
    }
    return [...this.#failures].map(([name, failure]) => ({ name, failure }))
  }

  async #work(session: SqlSession): Promise<void> {
    const { columnstoreAfterMs, retentionMs } = this.#settings
    const { has } = await detectCapabilities(session)
    if (has.has('community')) {
      await this.#attempt('refresh of candles', () => this.#refresh(session))
      if (columnstoreAfterMs !== undefined)
        await this.#attempt('compression', async () => {
          const before = this.#now() - columnstoreAfterMs
          while (
            (await compressNextChunk(session, before, Number.POSITIVE_INFINITY)).compressed !== undefined
          );
        })
    }
    if (has.has('hypertables') && retentionMs !== undefined)
      await this.#attempt('retention', async () => {
        while ((await dropOldestChunks(session, this.#now() - retentionMs)) !== undefined);
      })
  }

  async #attempt(name: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
      this.#failures.set(name, undefined)
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error
      this.#failures.set(name, `${error.message} (${error.sqlState})`)
    }
  }

  /**
   * At first by windows from the oldest on, each in all widths: one statement over years would be one transaction. From then on what has
   * changed, however old, by one statement a width.
   */
  async #refresh(session: SqlSession): Promise<void> {
    if (!this.#isCaughtUp) {
      for (const { low, high } of await dayWindows(session))
        for (const aggregate of AGGREGATES) await this.#refreshOne(session, aggregate, low, high)
      this.#isCaughtUp = true
    }
    for (const aggregate of AGGREGATES) {
      const { view, everyMs } = aggregate
      const began = this.#now()
      if (began - (this.#refreshedAt.get(view) ?? 0) < everyMs) continue
      await this.#refreshOne(session, aggregate, undefined, Number.POSITIVE_INFINITY)
      this.#refreshedAt.set(view, began)
    }
  }

  /** Up to what is settled. Candles of a minute stop where retention has removed their trades: they would go too. */
  async #refreshOne(
    session: SqlSession,
    { view, bucketMs, settledMs }: (typeof AGGREGATES)[number],
    low: number | undefined,
    high: number,
  ): Promise<void> {
    const bucket = bucketMs * 1000
    const { retentionMs } = this.#settings
    const settled = Math.floor(((this.#now() - settledMs) * 1000) / bucket) * bucket
    const kept =
      view === 'trade_candles_1m' && retentionMs !== undefined
        ? Math.ceil(((this.#now() - retentionMs) * 1000) / bucket) * bucket
        : undefined
    const from = kept === undefined ? low : Math.max(kept, low ?? kept)
    const to = Math.min(high, settled)
    if (from !== undefined && to - from < bucket) return
    const start = from === undefined ? 'null' : `timestamptz '${isoMicros(from)}'`
    await session.execute(
      `call refresh_continuous_aggregate('${view}', ${start}, timestamptz '${isoMicros(to)}')`,
    )
  }
}

/** Windows of whole days over all trades, of about as many chunks as one statement may touch, the oldest first. */
async function dayWindows(session: SqlSession): Promise<{ readonly low: number; readonly high: number }[]> {
  const id = await hypertableId(session, 'trades')
  const everything = { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY }
  const extent = id === undefined ? undefined : await chunkExtent(session, [{ id }], everything)
  if (extent === undefined) return []
  const lows = [...new Set(extent.cuts.map((cut) => Math.floor(cut / DAY_MICROS) * DAY_MICROS))]
  return lows.map((low, i) => ({
    low,
    high: lows[i + 1] ?? Math.ceil(extent.high / DAY_MICROS) * DAY_MICROS,
  }))
}
