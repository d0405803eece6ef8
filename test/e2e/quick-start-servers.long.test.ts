import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import pg from 'pg'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { requireServer } from '../servers/availability.ts'
import { freePort } from '../servers/free-port.ts'
import { type KafkaServer, kafkaMissing, startKafka } from '../servers/kafka.ts'
import { type PostgresServer, postgresMissing, startPostgres } from '../servers/postgres.ts'
import { blocksOf, interruptAll, openPageShell, type Running, readPage, stepsOf } from './page.ts'
import { makeFolder, START_MS, until } from './platform-process.ts'

const PART = /^## 5\. On servers\n(.*?)^## /ms
/** The password of the servers here is the one that the page shows. */
const PASSWORD = '...'

describe('the quick start on servers', requireServer(kafkaMissing() ?? postgresMissing()), () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>
  let kafka: KafkaServer | undefined
  let postgres: PostgresServer | undefined
  let simulator: Simulator | undefined
  let port: number
  let page: string
  const setUp: string[] = []
  const roles: Running[] = []

  before(async () => {
    folder = await makeFolder()
    port = await freePort()
    page = await readPage('quick-start.md')
    simulator = await startSimulatorThread({ seed: 4, rate: 50 })
    postgres = await startPostgres({ password: PASSWORD })
    kafka = await startKafka()
    const url = new URL(postgres.url)
    url.password = PASSWORD
    const client = new pg.Client({ connectionString: url.href })
    await client.connect()
    await client.query(`create role tapeline login password '${PASSWORD}'`)
    await client.query('create database market owner tapeline')
    await client.end()
  })
  after(async () => {
    await Promise.all(roles.map(interruptAll))
    // What did not start is not there.
    await Promise.all([kafka?.close(), postgres?.close(), simulator?.close()])
    await folder.remove()
  })

  /** A line of the page with the places of this run, and with simulated trades for those of the world. */
  const here = (text: string): string =>
    text
      .replaceAll('127.0.0.1:9092', kafka?.bootstrap ?? '')
      .replaceAll('127.0.0.1:5432', `127.0.0.1:${postgres?.port}`)
      .replaceAll('servers.yaml', join(folder.path, 'servers.yaml'))
      .replaceAll('--live', `--simulator ${simulator?.url}`)

  const { shell } = openPageShell({
    ...{ here, setUp },
    environment: () => ({
      TAPELINE_DATA: join(folder.path, 'data'),
      TAPELINE_GATEWAY_PORT: String(port),
    }),
  })

  /** Runs a line to its end; gives how it ended, and what it wrote. */
  const runToEnd = async (
    line: string,
  ): Promise<{ readonly code: number | null; readonly written: string }> => {
    const { child, output } = shell(line)
    const [code] = (await once(child, 'close')) as [number | null]
    return { code, written: output() }
  }
  const run = async (line: string): Promise<string> => {
    const { code, written } = await runToEnd(line)
    assert.equal(code, 0, `${line} wrote:\n${written}`)
    return written
  }

  test('every line of its part runs, and what is said after them holds', async () => {
    const [, part = ''] = PART.exec(page) ?? []
    const file = blocksOf(part).find(({ language }) => language === 'yaml')
    assert.ok(file, 'the part has a file')
    await writeFile(join(folder.path, 'servers.yaml'), here(file.lines.join('\n')))
    for (const { command } of [page, part].flatMap(blocksOf).flatMap(stepsOf))
      if (/^(alias|export) /.test(command) && !setUp.includes(command)) setUp.push(command)
    const commands = blocksOf(part)
      .flatMap(stepsOf)
      .map(({ command }) => command)
    const [doctor = '', ...starts] = commands.filter((command) => !setUp.includes(command))
    // Servers that have just been started on a busy machine may answer too late for it.
    await until('doctor finds all well', async () => (await runToEnd(doctor)).code === 0, START_MS)
    for (const start of starts) roles.push(shell(start))
    assert.equal(roles.length, 3)
    await until(
      'all are ready',
      async () => {
        for (const { child, output } of roles) assert.equal(child.exitCode, null, output())
        return (await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined))?.ok === true
      },
      START_MS,
    )

    const [, words = '', flag = ''] =
      /((?:`T \w+`(?:,\s| and\s)?)+) work as before, with `([^`]+)`/s.exec(part) ?? []
    assert.deepEqual(words.match(/T \w+/g), ['T sql', 'T tail', 'T streams', 'T actors'])
    // That the gateway is ready says nothing of the producer and the consumer.
    await until(
      'trades are stored',
      async () =>
        /^[1-9]/m.test(
          await run(`T sql ${flag} --json "select count(*)::text from trades" | tr -d '[{}":a-z'`),
        ),
      START_MS,
    )
    const id = (await run(`T streams create ${flag} --channel trade --symbols 'BTC-*' 2>/dev/null`)).trim()
    assert.match(await run(`T streams ${flag}`), new RegExp(id))
    assert.match(await run(`T tail ${flag} --limit 1 ${id}`), /(buy|sell)/)
    // Those of other processes are known from their heartbeats.
    let actors = ''
    await until('the actors of all roles are listed', async () => {
      actors = await run(`T actors ${flag}`)
      return ['coordinator', 'producer', 'consumer-fixed'].every((role) => actors.includes(role))
    }).catch((error: unknown) => assert.fail(`${error}: ${actors}`))
  })
})
