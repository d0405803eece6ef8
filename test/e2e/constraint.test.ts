import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Client } from 'pg'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { makeDatabase } from '../adapters/store/timescale-server.ts'
import { requireServer } from '../servers/availability.ts'
import { postgresMissing } from '../servers/postgres.ts'
import { storedTrades, tradeKey, untilSettled } from './ledger.ts'
import { makeFolder, PlatformProcess, runCommand, until } from './platform-process.ts'

const missing = requireServer(postgresMissing())

test(
  'what a constraint of the database refused is all there after a replay, once it is gone',
  missing,
  async () => {
    const folder = await makeFolder()
    const data = join(folder.path, 'data')
    const ledger = join(folder.path, 'ledger')
    const server = await makeDatabase()
    const database = new Client(server.url)
    const simulator = await startSimulatorThread({ seed: 3, rate: 200, ledger })
    const platform = new PlatformProcess(data, ['--simulator', simulator.url, '--database', server.url])
    after(async () => {
      await platform.kill()
      await simulator.close()
      await database.end()
      await server.remove()
      await folder.remove()
    })
    await database.connect()
    await platform.start()

    await until('trades are stored', async () => (await platform.metric('stored_rows_total')) > 50)
    await database.query(`alter table trades add constraint sane check (symbol <> 'BTC-USD') not valid`)
    await until('trades are refused', async () => (await platform.metric('dead_letters_total')) > 20)
    const refused = await runCommand(['dead-letters', 'replay', '--all', '--limit', '3', '--data', data])
    assert.equal(refused.code, 0, `published again, whatever the database says: ${refused.stderr}`)
    const before = await platform.metric('dead_letters_total')
    await until(
      'they are refused again',
      async () => (await platform.metric('dead_letters_total')) >= before + 3,
    )
    await database.query('alter table trades drop constraint sane')

    const emitted = await untilSettled(platform, ledger, (await simulator.stats()).emitted)
    // A trade that was refused last may become a letter only now, and what is published again has its way to go.
    await until('no letter is left, and no trade is missing', async () => {
      const { code, stdout } = await runCommand(['dead-letters', 'replay', '--all', '--json', '--data', data])
      assert.equal(code, 0, stdout)
      const keys = new Set((await storedTrades(platform)).map(tradeKey))
      return stdout === '' && emitted.every((trade) => keys.has(tradeKey(trade)))
    })
    const stored = (await storedTrades(platform)).map(tradeKey)
    assert.equal(new Set(stored).size, stored.length, 'no trade is stored twice')
  },
)
