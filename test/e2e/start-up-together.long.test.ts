import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { requireServer } from '../servers/availability.ts'
import { type KafkaServer, kafkaMissing, startKafka } from '../servers/kafka.ts'
import { type PostgresServer, postgresMissing, startPostgres } from '../servers/postgres.ts'
import { interrupt, makeFolder, runCommand, START_MS, startCommand, until } from './platform-process.ts'
import { outputOf } from './start-up.ts'

const PROCESSES = ['producer', 'coordinator', 'consumer-fixed', 'gateway', 'gateway,coordinator']

describe('five processes on empty servers', requireServer(kafkaMissing() ?? postgresMissing()), () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>
  let kafka: KafkaServer
  let postgres: PostgresServer
  let simulator: Simulator
  let servers: string[]
  let data: string
  let children: { readonly child: ChildProcess; readonly output: ReturnType<typeof outputOf> }[] = []

  before(async () => {
    folder = await makeFolder()
    data = join(folder.path, 'shared')
    ;[kafka, postgres, simulator] = await Promise.all([
      startKafka(),
      startPostgres(),
      startSimulatorThread({ seed: 3, rate: 100 }),
    ])
    servers = ['--kafka', kafka.bootstrap, '--database', postgres.url]
  })

  after(async () => {
    for (const { child } of children) child.kill('SIGKILL')
    await Promise.all([kafka.close(), postgres.close(), simulator.close()])
    await folder.remove()
  })

  const environment = (): Record<string, string> => ({
    TAPELINE_BROKER_KIND: 'kafka',
    TAPELINE_BROKER_BOOTSTRAP: kafka.bootstrap,
    TAPELINE_STORE_KIND: 'timescale',
    TAPELINE_STORE_URL: postgres.url,
  })

  test('all run when started at once, on one folder', async () => {
    children = PROCESSES.map((roles) => {
      const child = startCommand([
        ...['up', '--roles', roles, '--port', '0', '--data', data, '--simulator', simulator.url],
        ...servers,
      ])
      return { child, output: outputOf(child) }
    })
    await until(
      'all five run',
      () => {
        for (const { child, output } of children)
          assert.equal(child.exitCode, null, `it ended: ${output.stdout}${output.stderr}`)
        return children.every(({ output }) => output.stdout.includes('Tapeline runs'))
      },
      START_MS,
    )
    const files = await readdir(data)
    assert.deepEqual(
      files.toSorted(),
      ['run.json', ...children.map(({ child }) => `run-${child.pid}.json`)].toSorted(),
    )
  })

  test('the topics are those of the configuration', async () => {
    const { stdout } = await runCommand(['streams', 'topics', '--all', '--json', '--data', data])
    const { topics } = JSON.parse(stdout) as {
      topics: { name: string; partitions: number; compacted: boolean; retentionMs?: number }[]
    }
    const made = new Map(topics.map(({ name, ...topic }) => [name, topic]))
    for (const name of ['trades', 'quotes', 'candles', 'books', 'status']) {
      const { partitions, retentionMs } = made.get(`market.${name}`) ?? {}
      assert.deepEqual([partitions, retentionMs], [4, 7 * 86_400_000], name)
    }
    assert.equal(made.get('tapeline.registry')?.compacted, true)
    assert.equal(made.get('tapeline.registry')?.partitions, 1)
  })

  test('commands find a gateway, and trades go all the way to the database', async () => {
    const count = async (): Promise<number> => {
      const { code, stdout, stderr } = await runCommand([
        ...['sql', '--json', 'select count(*) as n from trades', '--data', data],
      ])
      assert.equal(code, 0, stderr)
      return (JSON.parse(stdout) as { n: number }[])[0]?.n ?? 0
    }
    await until('trades are stored', async () => (await count()) > 0)
    let created = { code: null as number | null, stdout: '' }
    // One of the two coordinators may not lead yet.
    await until('a stream is made', async () => {
      const spec = '{"channel":"trade","symbols":["*"]}'
      created = await runCommand(['streams', 'create', spec, '--data', data])
      return created.code === 0
    })
    const tail = await runCommand(['tail', created.stdout.trim(), '--limit', '5', '--json', '--data', data])
    assert.equal(tail.code, 0, tail.stderr)
    assert.equal(tail.stdout.trim().split('\n').length, 5)
  })

  test('doctor finds everything well while they run', async () => {
    const doctor = () =>
      runCommand(
        ['doctor', '--json', '--data', data, '--port', '0', '--simulator', simulator.url],
        environment(),
      )
    let found = await doctor()
    // Its questions have seconds, which a busy machine may take: what is not well stays so.
    await until('doctor finds all well', async () => {
      if (found.code !== 0) found = await doctor()
      return found.code === 0
    }).catch(() => assert.fail(found.stdout + found.stderr))
    const { findings } = JSON.parse(found.stdout) as { findings: { check: string; status: string }[] }
    const checks = findings.map(({ check }) => check)
    for (const check of ['broker', 'broker topics', 'store', 'platform'])
      assert.ok(checks.includes(check), check)
  })

  test('all end with Ctrl-C and leave no run file', async () => {
    const codes = await Promise.all(children.map(({ child }) => interrupt(child)))
    assert.deepEqual(codes, [0, 0, 0, 0, 0], children.map(({ output }) => output.stderr).join('\n'))
    assert.deepEqual(await readdir(data), [])
  })

  test('without them tail and streams topics go to the broker itself', async () => {
    const elsewhere = join(folder.path, 'elsewhere')
    const target = ['--data', elsewhere, '--json']
    const [tail, topics] = await Promise.all([
      runCommand(['tail', 'market.trades', '--from', 'earliest', '--limit', '5', ...target], environment()),
      runCommand(['streams', 'topics', ...target], environment()),
    ])
    assert.equal(tail.code, 0, tail.stderr)
    assert.equal(tail.stdout.trim().split('\n').length, 5)
    assert.equal(topics.code, 0, topics.stderr)
    const { topics: dynamic } = JSON.parse(topics.stdout) as { topics: { name: string }[] }
    assert.ok(dynamic.length > 0 && dynamic.every(({ name }) => name.startsWith('app.')))
  })
})
