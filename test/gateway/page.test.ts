import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { GRAPHS } from '../../src/diagram/graph.ts'
import { createGuard } from '../../src/gateway/guard.ts'
import { createOrigins } from '../../src/gateway/origins.ts'
import { registerPage } from '../../src/gateway/page.ts'
import { createServer } from '../../src/gateway/server.ts'
import { drawLive } from '../../src/topology/live-diagrams.ts'
import { quietLog, quietMeter } from '../quiet.ts'
import { call } from './http.ts'
import { startPlatform } from './platform.ts'

/** A server with a page from a folder, where every other route needs a key. */
async function servePage(t: TestContext, folder: string) {
  const identify = createGuard([{ name: 'alice', key: 'alice-key' }])
  const app = await createServer({
    identify,
    closing: () => false,
    tls: undefined,
    origins: createOrigins([]),
    log: quietLog,
    meter: quietMeter,
  })
  registerPage(app, { diagram: drawLive }, folder)
  t.after(() => app.close())
  return app
}

async function makeFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tapeline-page-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function build(folder: string): Promise<void> {
  await mkdir(join(folder, 'assets'))
  await mkdir(join(folder, '.vite'))
  await writeFile(join(folder, 'index.html'), '<head><title>Built</title></head>')
  const manifest = {
    'index.html': { file: 'assets/main-abc.js' },
    _shared: { file: 'assets/shared-abc.js' },
    'views/overview.ts': { file: 'assets/overview-abc.js', imports: ['_shared'] },
  }
  await writeFile(join(folder, '.vite/manifest.json'), JSON.stringify(manifest))
  await writeFile(join(folder, 'assets/main-abc.js'), 'export {}')
  await writeFile(join(folder, 'assets/secret.txt'), 'not of the page')
}

describe('the page', () => {
  test('is one file under the address of every view, without a key, and runs nothing that stands in it', async (t) => {
    const folder = await makeFolder(t)
    await build(folder)
    const app = await servePage(t, folder)
    const addresses = ['/', '/machines', '/machines/producer', '/markets', '/markets/coinbase/BTC-USD']
    for (const url of [
      ...addresses,
      '/streams',
      '/streams/01kb0c5e9mt8f6v3sn2dj4hq7w',
      '/data?sql=x',
      '/health',
    ]) {
      const answer = await app.inject({ url })
      assert.equal(answer.statusCode, 200, url)
      assert.match(answer.body, /<title>Built<\/title>/)
      const policy = String(answer.headers['content-security-policy'])
      assert.match(policy, /^default-src 'self';/)
      assert.doesNotMatch(policy, /unsafe|\*/)
    }
  })

  test('has the browser fetch what its view needs beside the first script', async (t) => {
    const folder = await makeFolder(t)
    await build(folder)
    const app = await servePage(t, folder)
    const preloaded = async (url: string) =>
      [...(await app.inject({ url })).body.matchAll(/rel="modulepreload" crossorigin href="([^"]+)"/g)].map(
        ([, href]) => href,
      )
    assert.deepEqual(await preloaded('/'), ['/assets/overview-abc.js', '/assets/shared-abc.js'])
    assert.deepEqual(await preloaded('/health'), [])
    assert.notEqual((await app.inject({ url: '/.vite/manifest.json' })).statusCode, 200)
  })

  test('says to a browser, without a key, that an address is none of its views; to programs as the API does', async (t) => {
    const folder = await makeFolder(t)
    await build(folder)
    const app = await servePage(t, folder)
    const browser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }
    const visit = await app.inject({ url: '/nowhere/at/all', headers: browser })
    assert.equal(visit.statusCode, 404)
    assert.match(visit.body, /<title>Built<\/title>/)
    assert.match(String(visit.headers['content-security-policy']), /^default-src 'self';/)
    const key = { authorization: 'Bearer alice-key' }
    for (const [url, headers, status] of [
      ['/nowhere', {}, 401],
      ['/nowhere', key, 404],
      ['/v1/nowhere', { ...browser }, 401],
      ['/v1/nowhere', { ...browser, ...key }, 404],
    ] as const) {
      const answer = await app.inject({ url, headers })
      assert.equal(answer.statusCode, status, url)
      assert.match(String(answer.headers['content-type']), /problem\+json/)
    }
  })

  test('its parts are kept for ever, come compressed, and nothing else is served', async (t) => {
    const folder = await makeFolder(t)
    await build(folder)
    const app = await servePage(t, folder)
    const plain = await app.inject({ url: '/assets/main-abc.js' })
    assert.equal(plain.body, 'export {}')
    assert.match(String(plain.headers['cache-control']), /immutable/)
    assert.match(String(plain.headers['content-type']), /^text\/javascript/)
    const zipped = await app.inject({
      url: '/assets/main-abc.js',
      headers: { 'accept-encoding': 'br, gzip' },
    })
    assert.equal(zipped.headers['content-encoding'], 'gzip')
    assert.equal(gunzipSync(zipped.rawPayload).toString(), 'export {}')
    for (const url of [
      '/assets/secret.txt',
      '/assets/none.js',
      '/assets/..%2Findex.html',
      '/diagrams/none.svg',
    ])
      assert.equal((await app.inject({ url })).statusCode, 404, url)
  })

  test('says how to build it where it was not, and is there once it was', async (t) => {
    const folder = await makeFolder(t)
    const app = await servePage(t, folder)
    const before = await app.inject({ url: '/streams' })
    assert.equal(before.statusCode, 200)
    assert.match(before.body, /npm run dashboard/)
    await build(folder)
    assert.match((await app.inject({ url: '/streams' })).body, /Built/)
  })

  test('shows statecharts with every state and edge under its name', async (t) => {
    const { url } = await startPlatform(t)
    for (const [machine, { states, edges }] of Object.entries(GRAPHS)) {
      const { status, headers, text } = await call(`${url}/diagrams/${machine}.svg`)
      assert.equal(status, 200)
      assert.equal(headers['content-type'], 'image/svg+xml')
      const ids = new Set(text.match(/(?<=<g id=")[^"]+/g))
      for (const { name } of states) assert.ok(ids.has(`${machine}.${name}`), `${machine}.${name}`)
      for (const { from, event, to } of edges) {
        const id = `${machine}.${from}.${event}.${to}`
        assert.ok(ids.has(id), id)
      }
    }
  })
})
