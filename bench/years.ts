import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { EMBEDDED_CHUNKS, SERVER_CHUNKS } from '../src/adapters/store/chunk-interval.ts'
import { TupleWriter } from '../src/adapters/store/copy-binary.ts'
import { compileProgram, openEngine } from '../src/adapters/store/embedded/engine.ts'
import { Maintenance } from '../src/adapters/store/embedded/maintenance.ts'
import { longerChunks } from '../src/adapters/store/embedded/sparse-chunks.ts'
import { candles, trades } from '../src/adapters/store/market-queries.ts'
import { migrate } from '../src/adapters/store/migrate.ts'
import { claim as claimPartitions } from '../src/adapters/store/offsets.ts'
import { PlatformJobs } from '../src/adapters/store/platform-jobs.ts'
import { applyPolicies, type PolicySettings } from '../src/adapters/store/policies.ts'
import { readOnlyQuery } from '../src/adapters/store/read-only-query.ts'
import { records, type SqlSession } from '../src/adapters/store/session.ts'
import { parseAddress } from '../src/adapters/store/timescale/address.ts'
import { createExtension } from '../src/adapters/store/timescale/extension.ts'
import { PgSession } from '../src/adapters/store/timescale/pg-session.ts'
import { advancedClaims, planWrite, write } from '../src/adapters/store/write.ts'
import type { Trade } from '../src/domain/events.ts'
import { emptyMemory } from '../src/domain/reader-rules.ts'
import { TABLES } from '../src/domain/rows.ts'
import { startPostgres } from '../test/servers/postgres.ts'
import { describeLoad, describeMachine } from './machine.ts'

// Years of quiet markets and a busy one: written, asked, materialised and compressed, asked again, and expired.

const USAGE = `Usage: npx node bench/years.ts [--days N] [--markets N] [--busy-days N] [--chunk-hours N] [--on STORE] [--folder DIR] [--no-jobs]

  --days N         of a trade a day of each quiet market (default: 3650)
  --markets N      quiet markets (default: 100)
  --busy-days N    of a trade every ten minutes of the busy one (default: 365)
  --chunk-hours N  event time of a chunk (default: as the platform chooses)
  --on STORE       embedded, postgres (a plain one that is started for the run), or postgres://USER@HOST:PORT/NAME,
                   a database that is empty (default: embedded)
  --folder DIR     keep the embedded store there; a run that was ended goes on with it
  --no-jobs        end once what was written is asked for`

const LIMIT_MS = 200
const DAY_MS = 86_400_000
/** What the consumer writes in one transaction of such trades: as many hours as it takes chunks. */
const BATCH_DAYS = 7

const { values } = parseArgs({
  options: {
    days: { type: 'string', default: '3650' },
    markets: { type: 'string', default: '100' },
    'busy-days': { type: 'string', default: '365' },
    'chunk-hours': { type: 'string' },
    on: { type: 'string', default: 'embedded' },
    folder: { type: 'string' },
    'no-jobs': { type: 'boolean', default: false },
    help: { type: 'boolean' },
  },
})
if (values.help) {
  console.log(USAGE)
  process.exit()
}
const [days, markets, busyDays] = [values.days, values.markets, values['busy-days']].map(Number) as [
  number,
  number,
  number,
]

interface OpenStore {
  readonly session: SqlSession
  close(): Promise<void>
}

async function openEmbedded(): Promise<OpenStore> {
  const folder = values.folder ?? (await mkdtemp(join(tmpdir(), 'tapeline-years-')))
  await mkdir(folder, { recursive: true })
  const directory = join(folder, 'pg')
  const session = await openEngine(await compileProgram(), directory, !existsSync(directory))
  return {
    session,
    async close() {
      await session.execute('checkpoint')
      await session.close()
      if (values.folder === undefined) await rm(folder, { recursive: true, force: true })
    },
  }
}

async function openServer(url: string): Promise<OpenStore> {
  const server = url === 'postgres' ? await startPostgres({}) : undefined
  const settings = { address: parseAddress(server?.url ?? url), tls: 'off', statementTimeoutMs: 0 } as const
  const session = await PgSession.open(settings, AbortSignal.timeout(60_000))
  return {
    session,
    async close() {
      await session.close()
      await server?.close()
    },
  }
}

const isEmbedded = values.on === 'embedded'
const hours = values['chunk-hours']
const policies: PolicySettings = {
  chunkIntervalMs:
    hours === undefined ? (isEmbedded ? EMBEDDED_CHUNKS : SERVER_CHUNKS) : Number(hours) * 3_600_000,
  columnstoreAfterMs: DAY_MS,
  retentionMs: undefined,
  jobs: 'platform',
}

/** How long something took, and of the embedded store how much CPU: what else the machine does is not in that. */
async function timed(
  what: string,
  work: () => Promise<unknown>,
  limitMs = Number.POSITIVE_INFINITY,
): Promise<void> {
  const began = performance.now()
  const cpu = process.cpuUsage()
  await work()
  const tookMs = performance.now() - began
  const { user, system } = process.cpuUsage(cpu)
  const cpuText = isEmbedded ? `, ${((user + system) / 1000).toFixed(0).padStart(7)} ms of CPU` : ''
  const mark = tookMs > limitMs ? '  over 200 ms' : ''
  if (tookMs > limitMs) slow++
  console.log(`${what.padEnd(52)} ${tookMs.toFixed(0).padStart(8)} ms${cpuText}${mark}`)
}

let slow = 0

async function ask(session: SqlSession, when: string): Promise<void> {
  const dayAt = (ago: number): string => new Date(Date.now() - ago * DAY_MS).toISOString().slice(0, 10)
  const ago = Math.floor(days / 2)
  const sql = `select count(*) from trades where ts >= '${dayAt(ago)}' and ts < '${dayAt(ago - 1)}'`
  const query = { sql, maxRows: 10, timeoutMs: 60_000 }
  await timed(`count(*) of a day ${when}`, () => readOnlyQuery(session, query), LIMIT_MS)
  for (const symbol of ['M7-USD', 'BUSY-USD', 'NONE-USD']) {
    await timed(`100 trades of ${symbol} ${when}`, () => trades(session, { symbol, limit: 100 }), LIMIT_MS)
    for (const interval of ['1m', '1h', '1d'] as const)
      await timed(
        `100 candles of ${interval} of ${symbol} ${when}`,
        () => candles(session, { symbol, interval, origin: 'trades', limit: 100 }),
        LIMIT_MS,
      )
  }
}

/** So many days ago, in microseconds. */
function midnight(ago: number): number {
  return (Math.floor(Date.now() / DAY_MS) - ago) * DAY_MS * 1000
}

/** The trades of a day so many days ago, in the order of their times. */
function tradesOf(ago: number): Trade[] {
  const at = (symbol: string, minute: number): Trade => {
    const ts = midnight(ago) + minute * 60_000_000
    return {
      ...{ exchange: 'coinbase', symbol, side: 'buy', price: 100, size: 1 },
      id: `${ts}`,
      ts,
      recvTs: ts,
    }
  }
  const quiet = Array.from({ length: markets }, (_, m) => at(`M${m}-USD`, (m * 10) % 1440))
  const busy = ago > busyDays ? [] : Array.from({ length: 144 }, (_, i) => at('BUSY-USD', i * 10))
  return [...quiet, ...busy].sort((a, b) => a.ts - b.ts)
}

/** As a backfill comes, the oldest first. A day is one offset, so that a run that was ended goes on where it was. */
async function writeYears(session: SqlSession): Promise<void> {
  const target = { topic: 'years', topicId: 'years', partition: 0 }
  let [claim] = await claimPartitions(session, [target])
  while (claim !== undefined && claim.nextOffset < days) {
    const newOffset: number = Math.min(claim.nextOffset + BATCH_DAYS, days)
    const writer = new TupleWriter()
    for (let day = claim.nextOffset; day < newOffset; day++)
      for (const trade of tradesOf(days - day)) TABLES.trade.write(writer, trade)
    const times = { from: midnight(days - claim.nextOffset), to: midnight(days - newOffset) }
    const segments = [
      { channel: 'trade', tuples: writer.finish(), rows: writer.rows, reentering: false } as const,
    ]
    const plan = planWrite([{ claim, newOffset, memory: emptyMemory(), segments, times }])
    await write(session, plan, isEmbedded ? await longerChunks(session, plan, policies) : undefined)
    if (newOffset % 500 === 0) await session.execute('checkpoint')
    ;[claim] = advancedClaims(plan)
  }
}

/** All that is due, as the embedded store does it, or the platform for a server. */
async function tend(session: SqlSession, settings: PolicySettings): Promise<void> {
  if (!isEmbedded) {
    await new PlatformJobs(settings).tend(session)
    return
  }
  const maintenance = new Maintenance(session)
  maintenance.begin(settings)
  let steps = 0
  let longest = { cpuMs: 0, tookMs: 0, task: 'none' }
  for (let isDue = true; isDue; steps++) {
    const began = performance.now()
    const cpu = process.cpuUsage()
    const { task, problem } = await maintenance.step('idle')
    const { user, system } = process.cpuUsage(cpu)
    const cpuMs = (user + system) / 1000
    if (cpuMs > longest.cpuMs)
      longest = { cpuMs, tookMs: performance.now() - began, task: JSON.stringify(task) }
    if (problem !== undefined) console.log(problem)
    isDue = task !== undefined
  }
  const { cpuMs, tookMs, task } = longest
  console.log(`${steps} steps, the longest ${cpuMs.toFixed(0)} ms of CPU, ${tookMs.toFixed(0)} ms: ${task}`)
}

console.log(describeMachine())
const { session, close } = await (isEmbedded ? openEmbedded() : openServer(values.on))
try {
  await migrate(session, policies, isEmbedded ? undefined : createExtension)
  await timed(`write ${days} days of ${markets} markets and a busy one`, () => writeYears(session))
  await session.execute('checkpoint; analyze trades')
  const counted = await session.rows(
    `select (select count(*) from pg_inherits where inhparent = 'trades'::regclass) as chunks, (select count(*) from trades) as rows`,
  )
  const [{ chunks, rows } = {}] = records(counted)
  console.log(chunks === '0' ? `${rows} trades in a plain table` : `${rows} trades in ${chunks} chunks`)
  await ask(session, '(as written)')
  if (!values['no-jobs'] && chunks !== '0') {
    await timed('refresh, compress', () => tend(session, policies))
    await ask(session, '(compressed)')
    const expiring = { ...policies, columnstoreAfterMs: undefined, retentionMs: 365 * DAY_MS }
    await applyPolicies(session, expiring, true)
    await timed('expire all but a year', () => tend(session, expiring))
    await ask(session, '(a year left)')
  }
} finally {
  await close()
}
console.log(`${slow} answers took more than ${LIMIT_MS} ms; ${describeLoad()} afterwards`)
process.exitCode = slow > 0 ? 1 : 0
