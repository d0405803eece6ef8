import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { EMBEDDED_CHUNKS, SERVER_CHUNKS } from '../src/adapters/store/chunk-interval.ts'
import { compileProgram, openEngine } from '../src/adapters/store/embedded/engine.ts'
import { candles, trades } from '../src/adapters/store/market-queries.ts'
import { migrate } from '../src/adapters/store/migrate.ts'
import { PlatformJobs } from '../src/adapters/store/platform-jobs.ts'
import { applyPolicies, type PolicySettings } from '../src/adapters/store/policies.ts'
import { readOnlyQuery } from '../src/adapters/store/read-only-query.ts'
import { records, type SqlSession } from '../src/adapters/store/session.ts'
import { parseAddress } from '../src/adapters/store/timescale/address.ts'
import { createExtension } from '../src/adapters/store/timescale/extension.ts'
import { PgSession } from '../src/adapters/store/timescale/pg-session.ts'
import { startPostgres } from '../test/servers/postgres.ts'
import { describeLoad, describeMachine } from './machine.ts'

// Years of quiet markets and a busy one: written, asked, materialised and compressed, asked again, and expired.

const USAGE = `Usage: npx node bench/years.ts [--days N] [--markets N] [--busy-days N] [--chunk-hours N] [--on STORE] [--no-jobs]

  --days N         of a trade a day of each quiet market (default: 3650)
  --markets N      quiet markets (default: 100)
  --busy-days N    of a trade every ten minutes of the busy one (default: 365)
  --chunk-hours N  event time of a chunk (default: 24 embedded, as the platform chooses on a server)
  --on STORE       embedded, postgres (a plain one that is started for the run), or postgres://USER@HOST:PORT/NAME,
                   a database that is empty (default: embedded)
  --no-jobs        end once what was written is asked for`

const LIMIT_MS = 200
const DAY_MS = 86_400_000

const { values } = parseArgs({
  options: {
    days: { type: 'string', default: '3650' },
    markets: { type: 'string', default: '100' },
    'busy-days': { type: 'string', default: '365' },
    'chunk-hours': { type: 'string' },
    on: { type: 'string', default: 'embedded' },
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
  const folder = await mkdtemp(join(tmpdir(), 'tapeline-years-'))
  const session = await openEngine(await compileProgram(), join(folder, 'pg'), true)
  return {
    session,
    async close() {
      await session.close()
      await rm(folder, { recursive: true, force: true })
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
const hours = values['chunk-hours'] ?? (isEmbedded ? '24' : undefined)
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

async function writeQuiet(session: SqlSession): Promise<void> {
  for (let from = 0; from < days; from += 50)
    await session.execute(`
      insert into trades select 'coinbase', 'M' || m || '-USD', d || '-' || m, 'buy', 1 + m, 1,
        date_trunc('day', now()) - d * interval '1 day' - m * interval '10 minutes', now()
      from generate_series(${from}, ${Math.min(from + 49, days - 1)}) d, generate_series(1, ${markets}) m`)
}

console.log(describeMachine())
const { session, close } = await (isEmbedded ? openEmbedded() : openServer(values.on))
try {
  await migrate(session, policies, isEmbedded ? undefined : createExtension)
  await timed(`write ${days} days of ${markets} markets`, () => writeQuiet(session))
  await timed('write a busy market', () =>
    session.execute(`
      insert into trades select 'coinbase', 'BUSY-USD', i::text, 'buy', 100, 1, now() - i * interval '10 minutes', now()
      from generate_series(1, ${Math.min(days, busyDays) * 144}) i`),
  )
  await session.execute('checkpoint; analyze trades')
  const counted = await session.rows(
    `select (select count(*) from pg_inherits where inhparent = 'trades'::regclass) as chunks, (select count(*) from trades) as rows`,
  )
  const [{ chunks, rows } = {}] = records(counted)
  console.log(chunks === '0' ? `${rows} trades in a plain table` : `${rows} trades in ${chunks} chunks`)
  await ask(session, '(as written)')
  if (!values['no-jobs'] && chunks !== '0') {
    await timed('refresh, compress', () => new PlatformJobs(policies).tend(session))
    await ask(session, '(compressed)')
    const expiring = { ...policies, columnstoreAfterMs: undefined, retentionMs: 365 * DAY_MS }
    await applyPolicies(session, expiring, true)
    await timed('expire all but a year', () => new PlatformJobs(expiring).tend(session))
    await ask(session, '(a year left)')
  }
} finally {
  await close()
}
console.log(`${slow} answers took more than ${LIMIT_MS} ms; ${describeLoad()} afterwards`)
process.exitCode = slow > 0 ? 1 : 0
