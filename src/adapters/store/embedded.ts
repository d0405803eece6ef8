import { noDataYet } from '../../errors.ts'
import type { Log } from '../../ports/log.ts'
import type { PartitionWrite, Store } from '../../ports/store.ts'
import { EMBEDDED_CHUNKS } from './chunk-interval.ts'
import { joinPieces } from './copy-binary.ts'
import { hasStore } from './embedded/folder.ts'
import { StoreHost } from './embedded/host.ts'
import { leastChunkMicros } from './policies.ts'
import { timedOut } from './read-only-query.ts'
import { TupleMemory } from './tuple-memory.ts'
import { advancedClaims, planWrite } from './write.ts'

export interface EmbeddedStoreSettings {
  /** The folder of the store alone, made where it is missing. */
  readonly folder: string
  /** Event time that one chunk of trades and quotes spans; by default chosen by the rate, at first 1 h. */
  readonly chunkIntervalMs?: number
  /** Age at which chunks of trades and quotes move to the columnstore; default 6 h, 0: never. */
  readonly columnstoreAfterMs?: number
  /** Age at which trades and quotes are removed, at least an hour; default 0: never. Candles stay. */
  readonly retentionMs?: number
  /** How long a query may take at the most, whatever it asks for: nothing else is done meanwhile. */
  readonly longestQueryMs?: number
  /** Raise DATA_FOLDER_UNUSABLE instead of making a store where there is none. */
  readonly mustExist?: true
  readonly log: Log
}

const HOUR_MS = 3_600_000
/** What a statement may take beyond its time before the thread is ended. */
const QUERY_GRACE_MS = 500

/**
 * Opens the embedded store: TimescaleDB in WebAssembly, in a worker thread of its own. A new folder takes 2 to 8 s, an
 * existing one 0.5 to 4 s. The settings about time take effect with `migrate`, as does maintenance.
 *
 * It does not lock the folder: whoever opens it must hold the lock of the data folder, since two processes on one database
 * destroy it. What an acknowledged write survives is the end of the process however it comes, not the loss of power:
 * the WebAssembly build never calls fsync.
 *
 * The database does one thing at a time. A query that outlasts its time costs half a second to everyone: the thread is
 * ended and the database opened again. Raises DATA_FOLDER_UNUSABLE, STORE_UNAVAILABLE.
 */
export async function openEmbeddedStore(settings: EmbeddedStoreSettings): Promise<Store> {
  const { folder, longestQueryMs = Number.POSITIVE_INFINITY, mustExist, log } = settings
  if (mustExist && !hasStore(folder)) throw noDataYet(`There is no store in the folder ${folder}.`)
  const policies = {
    chunkIntervalMs: settings.chunkIntervalMs ?? EMBEDDED_CHUNKS,
    columnstoreAfterMs: (settings.columnstoreAfterMs ?? 6 * HOUR_MS) || undefined,
    retentionMs: settings.retentionMs || undefined,
    jobs: 'server',
  } as const
  const host = await StoreHost.open({ folder, policies, maintained: false }, log)
  return storeOf(host, longestQueryMs, leastChunkMicros(policies))
}

function storeOf(host: StoreHost, longestQueryMs: number, chunkMicros: number): Store {
  return {
    lanes: 1,
    chunkMicros,
    rowMemory: () => new TupleMemory(),
    migrate: (signal) => host.call('migrate', undefined, { signal }),
    claim: (targets, signal) => host.call('claim', targets, { signal }),
    write: (writes, signal) => write(host, writes, signal),
    trades: (query, signal) => host.call('trades', query, { signal }),
    quotes: (query, signal) => host.call('quotes', query, { signal }),
    candles: (query, signal) => host.call('candles', query, { signal }),
    markets: (query, signal) => host.call('markets', query, { signal }),
    query(sql, { maxRows, timeoutMs: wantedMs }, signal) {
      const timeoutMs = Math.min(wantedMs, longestQueryMs)
      const options = { signal, timeoutMs: timeoutMs + QUERY_GRACE_MS, timedOut: () => timedOut(timeoutMs) }
      return host.call('query', { sql, maxRows, timeoutMs }, options)
    },
    tendJobs: async () => host.jobs(),
    ping: async () => {},
    close: () => host.close(),
  }
}

async function write(
  host: StoreHost,
  writes: readonly PartitionWrite[],
  signal: AbortSignal,
): ReturnType<Store['write']> {
  signal.throwIfAborted()
  if (writes.length === 0) return []
  const plan = planWrite(writes)
  // Transferred bytes are gone here; a caller that must write again, not knowing how this write ended, still has its own.
  const joined = plan.copies.map((copy) => joinPieces(copy.pieces))
  const copies = plan.copies.map((copy, i) => ({ ...copy, pieces: joined.slice(i, i + 1) }))
  const transfer = joined.map(({ buffer }) => buffer)
  await host.call('write', { ...plan, copies }, { signal, transfer })
  return advancedClaims(plan)
}
