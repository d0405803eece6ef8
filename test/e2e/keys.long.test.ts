import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { WebSocket } from 'ws'
import { startSimulatorThread } from '../../src/simulator/thread.ts'
import { copyStoreTemplate } from '../store-template.ts'
import { answered, makeFolder, PlatformProcess, runCommand, until } from './platform-process.ts'

test('a key outlives a crash of the platform, and nothing that it opened outlives the key', async (t) => {
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const data = join(folder.path, 'data')
  await copyStoreTemplate(join(data, 'store'))
  const admin = { TAPELINE_API_KEY: 'admin-secret' }
  const simulator = await startSimulatorThread({ seed: 1, rate: 50 })
  t.after(() => simulator.close())
  const platform = new PlatformProcess(data, ['--simulator', simulator.url], {
    TAPELINE_API_KEYS: 'admin:admin-secret',
  })
  t.after(() => platform.kill())
  await platform.start()
  const keys = async (...args: readonly string[]): Promise<Record<string, unknown>> => {
    let stdout = ''
    // Just after a start there may be no coordinator yet.
    await until(`keys ${args[0]} is answered`, async () => {
      const done = await runCommand(['keys', ...args, '--json', '--data', data], admin)
      const isAnswered = !done.stderr.includes('CONTROL_UNAVAILABLE')
      assert.ok(!isAnswered || done.code === 0, done.stderr)
      stdout = done.stdout
      return isAnswered
    })
    return JSON.parse(stdout) as Record<string, unknown>
  }
  const { id, key } = (await keys('create', 'bot-1', '--streams', '1')) as { id: string; key: string }
  const ask = (): Promise<Response> =>
    answered('a request for a stream', async () =>
      fetch(`${await platform.api()}/v1/streams`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ channel: 'trade', symbols: ['*'] }),
      }),
    )
  const made = await ask()
  assert.equal(made.status, 201)
  assert.equal(((await made.json()) as { app: string }).app, 'bot-1')

  await platform.kill()
  await platform.start()
  assert.equal((await ask()).status, 429, 'the key is good, and has its one stream')
  const socket = new WebSocket(`${(await platform.api()).replace('http', 'ws')}/v1/ws?key=${key}`)
  await once(socket, 'open')
  const closed = once(socket, 'close')
  assert.deepEqual(await keys('revoke', id), { revoked: [id] })
  assert.equal((await closed)[0], 1008)
  assert.equal((await ask()).status, 401)
  const { keys: listed } = (await keys('list')) as { keys: { app: string; revokedAt: string | null }[] }
  assert.deepEqual(
    listed.map(({ app, revokedAt }) => [app, revokedAt !== null]),
    [['bot-1', true]],
  )
  assert.ok(!platform.output.includes(key), 'no line of the log has the key')
})
