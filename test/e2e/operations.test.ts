import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Simulator } from '../../src/simulator/simulator.ts'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { makeFolder, PlatformProcess, runCommand, until } from './platform-process.ts'

describe('a process without the role gateway', () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>
  let simulator: Simulator
  let platform: PlatformProcess

  before(async () => {
    folder = await makeFolder()
    simulator = await startSimulatorThread({ seed: 1, rate: 100 })
    platform = new PlatformProcess(folder.path, [
      ...['--simulator', simulator.url, '--roles', 'producer,coordinator'],
    ])
    await platform.start()
  })
  after(async () => {
    await platform.kill()
    await simulator.close()
    await folder.remove()
  })

  test('serves health, metrics and its machines at an address of its own', async () => {
    assert.match(platform.output, new RegExp(`health and metrics at ${await platform.api()}`))
    assert.equal((await platform.get<{ status: string }>('/healthz')).status, 'alive')
    const gauges = async () => [
      await platform.metric('shards_owned'),
      await platform.metric('leader'),
      await platform.metric('processes', 'role="producer"'),
      await platform.metric('partitions_assigned', 'tapeline.producers'),
    ]
    await until('the gauges are there', async () => (await gauges()).join() === '4,1,1,4')
    assert.equal(await platform.metric('processes', 'role="gateway"'), 0)
    await until('it publishes', async () => (await platform.metric('published_records_total')) > 0)
    await assert.rejects(platform.get('/v1/streams'), /NOT_FOUND/)
  })

  interface Actor {
    readonly id: string
    readonly instance: string
    readonly context: { shards?: number[]; source?: { way: string }; leads?: boolean }
  }

  test('tapeline actors finds it, with its shards, its source and who leads', async () => {
    const { code, stdout, stderr } = await runCommand(['actors', '--json', '--data', folder.path])
    assert.equal(code, 0, stderr)
    const { actors } = JSON.parse(stdout) as { actors: Actor[] }
    assert.deepEqual(actors.map(({ id }) => id).sort(), ['coordinator', 'producer'])
    assert.equal(new Set(actors.map(({ instance }) => instance)).size, 1)
    const context = (id: string) => actors.find((actor) => actor.id === id)?.context
    assert.deepEqual(context('producer')?.shards, [0, 1, 2, 3])
    assert.equal(context('producer')?.source?.way, 'websocket')
    assert.equal(context('coordinator')?.leads, true)
    const reset = await runCommand(['actors', 'reset', 'producer', '--data', folder.path])
    assert.deepEqual([reset.code, reset.stdout], [0, 'RESET was sent to producer\n'])
  })

  test('ends cleanly', async () => {
    assert.equal(await platform.stop(), 0, platform.output)
  })
})
