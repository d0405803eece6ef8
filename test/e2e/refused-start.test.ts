import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeFolder, runCommand } from './platform-process.ts'

/** Far more than it takes; without an end the test would hang with it. */
const END_WITHIN_MS = 60_000

test('up ends where the API may not be served, and leaves nothing running', {
  timeout: END_WITHIN_MS,
}, async () => {
  const folder = await makeFolder()
  const flags = ['--live', '--host', '0.0.0.0', '--port', '0', '--data', folder.path]
  const { code, stderr } = await runCommand(['up', ...flags], { TAPELINE_API_KEYS: '' })
  assert.match(stderr, /^\{.*"code":"PUBLIC_WITHOUT_KEYS"/m)
  assert.equal(code, 1)
  await folder.remove()
})

test('up on a port that is taken says so before it makes a database or waits for a server', {
  timeout: END_WITHIN_MS,
}, async (t) => {
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const other = createServer().listen(0, '127.0.0.1')
  t.after(() => other.close())
  await once(other, 'listening')
  const taken = String((other.address() as AddressInfo).port)
  const flags = ['--live', '--data', folder.path]
  const servers = ['--kafka', '127.0.0.1:1', '--database', 'postgres://u@127.0.0.1:1/x']
  const ports = [
    ['--port', taken],
    ['--port', taken, ...servers],
    ['--port', '0', '--inspect', taken],
  ]
  for (const where of ports) {
    const { code, stderr } = await runCommand(['up', ...flags, ...where])
    assert.match(stderr, /^\{.*"code":"PORT_IN_USE"/m)
    assert.equal(code, 1)
  }
  assert.deepEqual(await readdir(join(folder.path, 'store')), [], 'no database')
})

test('up without the key of its source says so before it makes a database', {
  timeout: END_WITHIN_MS,
}, async (t) => {
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const { code, stderr } = await runCommand(['up', '--port', '0', '--data', join(folder.path, 'data')])
  assert.match(stderr, /^\{.*"code":"CONFIG_INVALID".*CRYPTOCOMPARE_API_KEY is not set/m)
  assert.equal(code, 1)
  assert.deepEqual(await readdir(folder.path), [], 'not even the folder')
})
