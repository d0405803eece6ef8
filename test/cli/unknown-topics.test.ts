import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { makeFolder, runCommand } from '../e2e/platform-process.ts'

const STRAY = 'app.01aaaaaaaaaaaaaaaaaaaaaaaa'
const TOPIC = {
  ...{ name: STRAY, id: 'one', partitions: 1, compacted: false, retentionMs: 3_600_000 },
  ...{ earliest: 0, end: 3, offsets: [{ earliest: 0, end: 3 }] },
}

test('topics that belong to no stream are listed, and removed by name', async (t) => {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    if (request.method === 'DELETE') response.writeHead(204).end()
    else
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ topics: [TOPIC] }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const api = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const topics = (...args: readonly string[]) => runCommand(['streams', 'topics', '--api', api, ...args])

  const [listed, json] = await Promise.all([topics('--unknown'), topics('--unknown', '--json')])
  assert.match(listed.stdout, new RegExp(`^${STRAY.replace('.', '\\.')} +1 +0 +3 `, 'm'), listed.stderr)
  assert.deepEqual(JSON.parse(json.stdout), { topics: [TOPIC] })
  const [removed, removedJson] = await Promise.all([
    topics('--remove', STRAY),
    topics('--remove', STRAY, '--json'),
  ])
  assert.equal(removed.stdout, `${STRAY} is removed\n`)
  assert.deepEqual(JSON.parse(removedJson.stdout), { removed: STRAY })
  assert.deepEqual([...new Set(asked)], ['GET /v1/topics?unknown=true', `DELETE /v1/topics/${STRAY}`])
})

test('without a platform that runs, they are neither listed nor removed, and it says why', async (t) => {
  const folder = await makeFolder()
  t.after(() => folder.remove())
  for (const flags of [['--unknown'], ['--remove', STRAY]]) {
    const { code, stdout, stderr } = await runCommand(['streams', 'topics', '--data', folder.path, ...flags])
    assert.deepEqual([code, stdout], [1, ''])
    assert.match(stderr, /^NOT_RUNNING: .*only a running one knows which topics belong to no stream\n.+/)
  }
})
