import { type ChunkChoice, chooseInterval, measureTables, shortestInterval } from './chunk-interval.ts'
import { records, type SqlSession } from './session.ts'

/** How trades, quotes and books are kept; all in milliseconds. Candles and status are few and stay as they are. */
export interface PolicySettings {
  /** Event time that one chunk spans, or what it may be chosen from by the rate. A change is for new chunks. */
  readonly chunkIntervalMs: number | ChunkChoice
  /** Age at which a chunk moves to the columnstore; undefined: never. */
  readonly columnstoreAfterMs: number | undefined
  /** Age at which a chunk is removed; undefined: never. Candles computed from it stay. */
  readonly retentionMs: number | undefined
  /** Who refreshes, compresses and removes: jobs of the database, or the platform by statements of its own. */
  readonly jobs: 'server' | 'platform'
}

/** The event time in microseconds that a chunk of trades and quotes spans at the least; those of other tables are longer. */
export function leastChunkMicros({
  chunkIntervalMs,
  retentionMs,
}: Pick<PolicySettings, 'chunkIntervalMs' | 'retentionMs'>): number {
  if (typeof chunkIntervalMs === 'number') return chunkIntervalMs * 1000
  return shortestInterval(chunkIntervalMs.lengths, retentionMs) * 1000
}

/** The tables that fill fast. */
export const KEPT_TABLES = ['trades', 'quotes', 'books'] as const
/** The same as a list in SQL. */
export const KEPT_NAMES = KEPT_TABLES.map((table) => `'${table}'`).join(', ')

const DAY_MS = 86_400_000

/**
 * The continuous aggregates, finest first: each is computed from a finer one. What is younger than `settled` is
 * computed by each query, so that a late trade is in its candle at once; older buckets are materialised. A chunk of theirs
 * holds about a million candles of a hundred markets; by itself it would be as long as ten hours.
 */
export const AGGREGATES = [
  {
    view: 'trade_candles_1m',
    bucketMs: 60_000,
    settledMs: 10 * 60_000,
    everyMs: 60_000,
    chunkMs: 7 * DAY_MS,
  },
  {
    view: 'trade_candles_5m',
    bucketMs: 5 * 60_000,
    settledMs: 30 * 60_000,
    everyMs: 5 * 60_000,
    chunkMs: 30 * DAY_MS,
  },
  {
    view: 'trade_candles_15m',
    bucketMs: 15 * 60_000,
    settledMs: 3_600_000,
    everyMs: 15 * 60_000,
    chunkMs: 90 * DAY_MS,
  },
  {
    view: 'trade_candles_1h',
    bucketMs: 3_600_000,
    settledMs: 3 * 3_600_000,
    everyMs: 30 * 60_000,
    chunkMs: 365 * DAY_MS,
  },
  {
    view: 'trade_candles_4h',
    bucketMs: 4 * 3_600_000,
    settledMs: 12 * 3_600_000,
    everyMs: 2 * 3_600_000,
    chunkMs: 1_460 * DAY_MS,
  },
  {
    view: 'trade_candles_1d',
    bucketMs: 86_400_000,
    settledMs: 2 * 86_400_000,
    everyMs: 6 * 3_600_000,
    chunkMs: 3_650 * DAY_MS,
  },
] as const

/** Brings chunk intervals and policies to the settings, touching only what differs. Needs TimescaleDB. */
export async function applyPolicies(
  session: SqlSession,
  settings: PolicySettings,
  community: boolean,
): Promise<void> {
  const statements = await chunkIntervalChanges(session, settings)
  if (community)
    statements.push(...(await candleIntervalChanges(session)), ...(await policyChanges(session, settings)))
  if (statements.length > 0) await session.transaction([{ sql: statements.join('\n') }])
}

async function chunkIntervalChanges(
  session: SqlSession,
  { chunkIntervalMs, retentionMs }: PolicySettings,
): Promise<string[]> {
  if (typeof chunkIntervalMs === 'number') {
    const wanted = interval(chunkIntervalMs)
    const rows = records(
      await session.rows(`
        select hypertable_name from timescaledb_information.dimensions
        where hypertable_schema = current_schema and hypertable_name in (${KEPT_NAMES})
          and time_interval <> ${wanted}`),
    )
    return rows.map((row) => `select set_chunk_time_interval('${row['hypertable_name']}', ${wanted});`)
  }
  const measured = await measureTables(session, KEPT_TABLES)
  return [...measured].flatMap(([table, rate]) => {
    const wanted = chooseInterval(chunkIntervalMs, rate, retentionMs)
    return wanted === rate.current ? [] : [`select set_chunk_time_interval('${table}', ${interval(wanted)});`]
  })
}

/** Those of the aggregates, which do not depend on the settings. */
async function candleIntervalChanges(session: SqlSession): Promise<string[]> {
  const rows = records(
    await session.rows(`
      select c.view_name, extract(epoch from d.time_interval) * 1000 as current
      from timescaledb_information.continuous_aggregates c
      join timescaledb_information.dimensions d on d.hypertable_schema = c.materialization_hypertable_schema
        and d.hypertable_name = c.materialization_hypertable_name
      where c.view_schema = current_schema and d.time_interval is not null`),
  )
  return AGGREGATES.flatMap(({ view, chunkMs }) => {
    const row = rows.find((each) => each['view_name'] === view)
    if (row === undefined || Number(row['current']) === chunkMs) return []
    return [`select set_chunk_time_interval('${view}', ${interval(chunkMs)});`]
  })
}

/** The offsets that a policy's configuration may hold. */
const OFFSETS = ['compress_after', 'drop_after', 'start_offset', 'end_offset'] as const
type Offsets = Partial<Record<(typeof OFFSETS)[number], number>>

/** A policy as it should be, with the statements that make it so. */
interface Policy {
  readonly procedure: string
  readonly relation: string
  /** In milliseconds; undefined where there should be no such policy. */
  readonly offsets: Offsets | undefined
  readonly add: string
  readonly remove: string
}

async function policyChanges(session: SqlSession, settings: PolicySettings): Promise<string[]> {
  const milliseconds = OFFSETS.map(
    (key) => `extract(epoch from (config->>'${key}')::interval) * 1000 as ${key}`,
  )
  const current = records(
    await session.rows(`
      select proc_name, hypertable_name, ${milliseconds.join(', ')} from timescaledb_information.jobs
      where hypertable_schema = current_schema`),
  )
  return wantedPolicies(settings).flatMap(({ procedure, relation, offsets, add, remove }) => {
    const row = current.find(
      (each) => each['proc_name'] === procedure && each['hypertable_name'] === relation,
    )
    if (row === undefined) return offsets === undefined ? [] : [add]
    if (offsets === undefined) return [remove]
    const same = OFFSETS.every((key) => (row[key] == null ? undefined : Number(row[key])) === offsets[key])
    return same ? [] : [remove, add]
  })
}

/** Where the platform does the work itself, none: a job that fails there would be tried again and again. */
function wantedPolicies({ columnstoreAfterMs, retentionMs, jobs }: PolicySettings): Policy[] {
  const policies = [
    ...KEPT_TABLES.map((table) => columnstorePolicy(table, columnstoreAfterMs)),
    ...KEPT_TABLES.map((table) => retentionPolicy(table, retentionMs)),
    ...AGGREGATES.map((aggregate) => refreshPolicy(aggregate, retentionMs)),
  ]
  return jobs === 'server' ? policies : policies.map((policy) => ({ ...policy, offsets: undefined }))
}

function columnstorePolicy(table: string, after: number | undefined): Policy {
  return {
    procedure: 'policy_compression',
    relation: table,
    offsets: after === undefined ? undefined : { compress_after: after },
    add: `call add_columnstore_policy('${table}', after => ${interval(after ?? 0)});`,
    remove: `call remove_columnstore_policy('${table}', if_exists => true);`,
  }
}

function retentionPolicy(table: string, retention: number | undefined): Policy {
  return {
    procedure: 'policy_retention',
    relation: table,
    offsets: retention === undefined ? undefined : { drop_after: retention },
    add: `select add_retention_policy('${table}', drop_after => ${interval(retention ?? 0)});`,
    remove: `select remove_retention_policy('${table}', if_exists => true);`,
  }
}

/**
 * Whatever has changed is refreshed, however old. Only candles of a minute come from trades, so only they stop where
 * retention has removed trades: refreshing them there would remove the candles too.
 */
function refreshPolicy(
  { view, settledMs, everyMs }: (typeof AGGREGATES)[number],
  retention: number | undefined,
): Policy {
  const start = view === 'trade_candles_1m' ? retention : undefined
  return {
    procedure: 'policy_refresh_continuous_aggregate',
    relation: view,
    offsets: start === undefined ? { end_offset: settledMs } : { start_offset: start, end_offset: settledMs },
    add: `select add_continuous_aggregate_policy('${view}',
      start_offset => ${start === undefined ? 'null' : interval(start)},
      end_offset => ${interval(settledMs)}, schedule_interval => ${interval(everyMs)});`,
    remove: `select remove_continuous_aggregate_policy('${view}', if_exists => true);`,
  }
}

function interval(milliseconds: number): string {
  return `interval '${milliseconds} milliseconds'`
}
