import assert from 'node:assert/strict'
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
