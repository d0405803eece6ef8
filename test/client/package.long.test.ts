import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { until } from '../e2e/platform-process.ts'
import { startPlatform } from '../gateway/platform.ts'
import { requireServer } from '../servers/availability.ts'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)
const COUNT = 3

/** The first block of a language on the page of clients. */
async function blockOf(language: string): Promise<string> {
  const page = await readFile(join(ROOT, 'docs/clients.md'), 'utf8')
  return (
    new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'ms').exec(page)?.[1] ?? assert.fail(`no ${language}`)
  )
}

describe('the package of the client', () => {
  let folder = ''
  const installed = () => join(folder, 'node_modules', 'tapeline')
  // The Node of this test in front of whatever the machine has.
  const env = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH']}` }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tapeline-package-'))
    await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: ROOT, timeout: 200_000 })
    await writeFile(join(folder, 'package.json'), '{"private":true,"type":"module"}')
    const [file = ''] = (await run('ls', [folder])).stdout.split('\n').filter((name) => name.endsWith('.tgz'))
    // The client needs none of the libraries of the platform.
    await run('mkdir', ['-p', installed()])
    await run('tar', ['xzf', join(folder, file), '-C', installed(), '--strip-components=1'])
  })
  after(() => rm(folder, { recursive: true, force: true }))

  /** A platform that gives whoever subscribes some trades. */
  const startGiving = async (t: Parameters<typeof startPlatform>[0]) => {
    const platform = await startPlatform(t)
    const { delivery } = platform
    const give = delivery.connect.bind(delivery)
    delivery.connect = (app, endpoint) => {
      const connection = give(app, endpoint)
      return {
        ...connection,
        subscribe(stream: string, cursor?: string) {
          connection.subscribe(stream, cursor)
          const events = Array.from({ length: COUNT }, (_, i) => ({
            ...{ exchange: 'kraken', symbol: 'BTC-USD', id: String(i), side: 'buy', price: 100 + i, size: 1 },
            ...{ bid: 100 + i, ask: 101 + i, ts: i, recvTs: i },
          }))
          endpoint.sendEncoded(
            Buffer.from(JSON.stringify({ op: 'data', stream, cursor: 'c', events })),
            'c',
            events.length,
          )
          endpoint.send({ op: 'end', stream, reason: 'enough' })
        },
      }
    }
    return platform
  }

  test('the example of the page runs in an empty project', async (t) => {
    const { url } = await startGiving(t)
    const example = (await blockOf('js')).replace('http://127.0.0.1:8080', url)
    await writeFile(join(folder, 'example.js'), example)
    const { stdout } = await run(process.execPath, ['example.js'], { cwd: folder, timeout: 60_000, env })
    assert.equal(stdout, 'BTC-USD 100 1\nBTC-USD 101 1\nBTC-USD 102 1\n')
  })

  test('its types are there, without those of Node', async () => {
    await writeFile(
      join(folder, 'example.ts'),
      `import { createClient } from 'tapeline/client'
       for await (const event of createClient().stream({ channel: 'trade', symbols: ['*'], fields: ['price'] }))
         if (event.type === 'trade') event.price.toFixed()
       // @ts-expect-error: it was not asked for
       for await (const event of createClient().stream({ channel: 'trade', symbols: ['*'], fields: ['price'] })) if (event.type === 'trade') event.size
      `,
    )
    const options = [
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'es2024',
      '--lib',
      'es2024,dom',
      '--types',
      '',
    ]
    await run(join(ROOT, 'node_modules/.bin/tsc'), [...options, 'example.ts'], { cwd: folder, env }).catch(
      ({ stdout }) => assert.fail(stdout),
    )
  })

  test('the example for a browser runs in Chromium, bundled', async (t) => {
    if (CHROMIUM === undefined) {
      const { skip } = requireServer(
        'no Chromium (apt-get install chromium): the client did not run in a browser',
      )
      return t.skip(String(skip))
    }
    const bundle = join(folder, 'tapeline-client.js')
    const entry = join(installed(), 'dist/client/index.js')
    await build({ entryPoints: [entry], bundle: true, format: 'esm', outfile: bundle, logLevel: 'error' })
    const platform = await startGiving(t)
    const page = `<!doctype html><meta charset="utf-8">${await blockOf('html')}
      <script>
        addEventListener('unhandledrejection', ({ reason }) => fetch('/seen?' + encodeURIComponent(reason)))
        new MutationObserver(() => fetch('/seen?' + encodeURIComponent(document.title)))
          .observe(document.head, { childList: true, subtree: true, characterData: true })
      </script>`
    const files: Readonly<Record<string, readonly [type: string, text: string]>> = {
      '/': ['text/html', page],
      '/tapeline-client.js': ['text/javascript', await readFile(bundle, 'utf8')],
    }
    const seen: string[] = []
    // The page has the platform's own origin.
    const server = createServer((incoming, answer) => {
      const { url = '', method, headers } = incoming
      const file = files[url]
      if (file !== undefined) return answer.setHeader('content-type', file[0]).end(file[1])
      if (url.startsWith('/seen?')) {
        seen.push(decodeURIComponent(url.slice(6)))
        return answer.end()
      }
      incoming.pipe(
        request(platform.url + url, { method, headers }, (given) => {
          answer.writeHead(given.statusCode ?? 500, given.headers)
          given.pipe(answer)
        }),
      )
    })
    server.on('upgrade', (incoming, socket) => {
      const { rawHeaders, method, url } = incoming
      const upstream = connect(platform.gateway.port, '127.0.0.1')
      const lines = rawHeaders.map((text, i) => (i % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('')
      upstream.write(`${method} ${url} HTTP/1.1\r\n${lines}\r\n`)
      socket.pipe(upstream).pipe(socket)
      for (const each of [socket, upstream]) each.on('error', () => {})
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const profile = await mkdtemp(join(tmpdir(), 'tapeline-chromium-'))
    const browser = execFile(CHROMIUM, [
      ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
      ...[`--user-data-dir=${profile}`, '--remote-debugging-port=0', `http://127.0.0.1:${port}/`],
    ])
    t.after(async () => {
      browser.kill('SIGKILL')
      server.closeAllConnections()
      server.close()
      await rm(profile, { recursive: true, force: true, maxRetries: 5 })
    })
    await until(
      'the page shows the last price',
      () => seen.includes('102 103') || seen.some((text) => /rror/.test(text)),
    )
    assert.ok(seen.includes('102 103'), seen.join())
  })
})
