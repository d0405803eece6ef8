import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Client } from 'pg'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { readLedger, storedTrades, tradeKey } from '../e2e/ledger.ts'
import { makeFolder, PlatformProcess, until } from '../e2e/platform-process.ts'
import { requireServer } from '../servers/availability.ts'
import { type KafkaServer, kafkaMissing, startKafka } from '../servers/kafka.ts'
import { type PostgresServer, postgresMissing, startPostgres } from '../servers/postgres.ts'

const TRADES = 1_500

let folder: Awaited<ReturnType<typeof makeFolder>>
let kafka: KafkaServer
let postgres: PostgresServer
let simulator: Simulator
let ledger: string
const platforms: PlatformProcess[] = []

const servers = requireServer(kafkaMissing() ?? postgresMissing())

before(async () => {
  if (servers.skip !== false) return
  folder = await makeFolder()
  ledger = join(folder.path, 'ledger')
  ;[kafka, postgres, simulator] = await Promise.all([
    startKafka(),
    startPostgres(),
    // Slow enough for a busy machine to copy the database before the end.
    startSimulatorThread({ seed: 11, rate: 150, events: TRADES, ledger }),
  ])
})

after(async () => {
  if (servers.skip !== false) return
  await Promise.all(platforms.map((platform) => platform.kill()))
  await Promise.all([kafka.close(), postgres.close(), simulator.close()])
  await folder.remove()
})

async function execute(...statements: readonly string[]): Promise<void> {
  const client = new Client({ connectionString: postgres.url })
  await client.connect()
  for (const statement of statements) await client.query(statement)
  await client.end()
}

async function countIn(address: URL): Promise<number> {
  const client = new Client({ connectionString: address.href })
  await client.connect()
  const { rows } = await client.query<{ n: number }>('select count(*)::int as n from trades')
  await client.end()
  return rows[0]?.n ?? 0
}

test('an old copy of the database gets what it lacks from the topics, each row once', servers, async () => {
  await execute('create database market')
  const database = new URL(postgres.url)
  database.pathname = '/market'
  const process = (roles: string, ...flags: readonly string[]): PlatformProcess => {
    const args = ['--roles', roles, '--kafka', kafka.bootstrap, ...flags]
    const platform = new PlatformProcess(join(folder.path, roles), args)
    platforms.push(platform)
    return platform
  }
  const writing = process('consumer-fixed,gateway', '--database', database.href)
  const producing = process('producer,coordinator', '--simulator', simulator.url)
  await writing.start()
  producing.launch()
  const count = async (): Promise<number> => {
    const [row] = await writing.sql<{ n: number }>('select count(*)::int as n from trades')
    return row?.n ?? 0
  }
  await until('some trades are stored', async () => (await count()) > TRADES / 10)
  await writing.stop()
  await execute('create database old template market')
  await writing.start()
  await until('all trades are stored', async () => (await count()) === TRADES)
  await writing.stop()

  await execute('drop database market', 'alter database old rename to market')
  const restored = await countIn(database)
  assert.ok(restored > 0 && restored < TRADES, `the copy has ${restored}`)
  await writing.start()
  await until('all trades are stored again', async () => (await count()) >= TRADES)
  const stored = await storedTrades(writing)
  const emitted = await readLedger(ledger)
  assert.deepEqual(stored.map(tradeKey).sort(), emitted.map(tradeKey).sort())
  const [gaps] = await writing.sql<{ n: number }>(
    `select count(*)::int as n from status where state = 'gap' and source = 'tapeline'`,
  )
  assert.equal(gaps?.n, 0)
  for (const platform of platforms) assert.equal(await platform.stop(), 0, platform.output)
})
