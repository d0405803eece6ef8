import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compileProgram, openEngine } from '../src/adapters/store/embedded/engine.ts'
import { candles, trades } from '../src/adapters/store/market-queries.ts'
import { migrate } from '../src/adapters/store/migrate.ts'
import { PlatformJobs } from '../src/adapters/store/platform-jobs.ts'
import { applyPolicies } from '../src/adapters/store/policies.ts'

// Ten years of a hundred quiet markets (a trade a day each), and a year of a busy one (a trade every ten minutes), in the embedded
// store: written, asked, materialised and compressed, asked again, and expired. Days are a number given on the command line, 3,650 by
// default. Run it by `npx node bench/years.ts [DAYS]`.

const DAYS = Number(process.argv[2] ?? 3_650)
const DAY_MS = 86_400_000
const MARKETS = 100
const LIMIT_MS = 200

const folder = await mkdtemp(join(tmpdir(), 'tapeline-years-'))
const engine = await openEngine(await compileProgram(), join(folder, 'pg'), true)
const policies = {
  chunkIntervalMs: DAY_MS,
  columnstoreAfterMs: DAY_MS,
  retentionMs: undefined,
  jobs: 'platform',
} as const
let isSlow = false

async function timed<T>(
  what: string,
  work: () => Promise<T>,
  limitMs = Number.POSITIVE_INFINITY,
): Promise<T> {
  const began = performance.now()
  const cpu = process.cpuUsage()
  const result = await work()
  const tookMs = performance.now() - began
  const { user, system } = process.cpuUsage(cpu)
  if (tookMs > limitMs) isSlow = true
  process.stdout.write(
    `${what.padEnd(44)} ${tookMs.toFixed(0).padStart(8)} ms, ${((user + system) / 1000).toFixed(0).padStart(7)} ms of CPU\n`,
  )
  return result
}

async function ask(when: string): Promise<void> {
  const day = new Date(Date.now() - Math.floor(DAYS / 2) * DAY_MS).toISOString().slice(0, 10)
  const count = `select count(*) from trades where ts >= '${day}' and ts < date '${day}' + 1`
  await timed(`count(*) of a day ${when}`, () => engine.rows(count), LIMIT_MS)
  for (const symbol of ['M7-USD', 'BUSY-USD', 'NONE-USD']) {
    await timed(`100 trades of ${symbol} ${when}`, () => trades(engine, { symbol, limit: 100 }), LIMIT_MS)
    for (const interval of ['1m', '1d'] as const)
      await timed(
        `100 candles of ${interval} of ${symbol} ${when}`,
        () => candles(engine, { symbol, interval, origin: 'trades', limit: 100 }),
        LIMIT_MS,
      )
  }
}

try {
  await migrate(engine, policies)
  await timed(`write ${DAYS} days of ${MARKETS} markets`, async () => {
    for (let from = 0; from < DAYS; from += 100)
      await engine.execute(`
        insert into trades select 'coinbase', 'M' || m || '-USD', d || '-' || m, 'buy', 1 + m, 1,
          now() - d * interval '1 day' - m * interval '1 minute', now()
        from generate_series(${from}, ${Math.min(from + 99, DAYS - 1)}) d, generate_series(1, ${MARKETS}) m`)
  })
  await timed('write a year of a busy market', () =>
    engine.execute(`
      insert into trades select 'coinbase', 'BUSY-USD', i::text, 'buy', 100, 1, now() - i * interval '10 minutes', now()
      from generate_series(1, ${Math.min(DAYS, 365) * 144}) i`),
  )
  await ask('(nothing materialised)')
  await timed('refresh, compress', () => new PlatformJobs(policies).tend(engine))
  await ask('(compressed)')
  const expiring = { ...policies, columnstoreAfterMs: undefined, retentionMs: 365 * DAY_MS }
  await applyPolicies(engine, expiring, true)
  await timed('expire all but a year', () => new PlatformJobs(expiring).tend(engine))
  await ask('(a year left)')
} finally {
  await engine.close()
  await rm(folder, { recursive: true, force: true })
}
process.exitCode = isSlow ? 1 : 0
