import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { copyStoreTemplate } from '../store-template.ts'
import { interrupt, makeFolder, runCommand, startCommand, until, untilReady } from './platform-process.ts'

const MIB = 2 ** 20
const DISK_MIB = 160

/** A disk of a size of its own needs a mount, which not every machine lets a test make. */
const probe = await makeFolder()
const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', probe.path])
if (mounted.status === 0) execFileSync('umount', [probe.path])
await probe.remove()
const skip = mounted.status === 0 ? false : 'this machine lets no test mount a disk'

describe('a disk that is full', { skip }, () => {
  let folder: Awaited<ReturnType<typeof makeFolder>>
  let data: string
  let filler: string
  before(async () => {
    folder = await makeFolder()
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'tmpfs', folder.path])
    data = join(folder.path, 'data')
    filler = join(folder.path, 'filler')
    await mkdir(data)
    await copyStoreTemplate(join(data, 'store'))
  })
  after(async () => {
    execFileSync('umount', ['-l', folder.path])
    await folder.remove()
  })

  test('is why nothing starts on it, and not the path or its rights', async () => {
    await fill(filler)
    try {
      for (const command of ['demo', 'up']) {
        const fresh = join(folder.path, 'fresh')
        const { code, stderr } = await runCommand([command, '--data', fresh, '--port', '0', '--live'])
        assert.equal(code, 1, stderr)
        assert.match(stderr, /BROKER_FULL.*Make room, then start again/s)
        await rm(fresh, { recursive: true })
      }
    } finally {
      await rm(filler)
    }
  })

  test('is said with codes and alerts, and a demo goes on as soon as there is room', async (t) => {
    const child = startCommand(['demo', '--data', data, '--port', '0', '--rate', '1000'], {
      TAPELINE_ALERTS_AFTER: '1s',
    })
    t.after(() => child.kill('SIGKILL'))
    let output = ''
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        output += chunk.toString()
      })
    await untilReady(child, data, () => output)
    const { api } = JSON.parse(await readFile(join(data, 'run.json'), 'utf8')) as { api: string }
    const get = async (path: string): Promise<string> => (await fetch(`${api}${path}`)).text()
    const count = async (): Promise<number> => {
      const body = JSON.stringify({ sql: 'select count(*) as n from trades' })
      const headers = { 'content-type': 'application/json' }
      const response = await fetch(`${api}/v1/sql`, { method: 'POST', headers, body })
      const answer = (await response.json()) as { rows?: { n: number }[] }
      return Number(answer.rows?.[0]?.n ?? 0)
    }
    await until('trades are stored', async () => (await count()) > 0, 60_000)

    await fill(filler)
    // Which of the two is stopped first is the disk's matter.
    const full = /"code":"(BROKER|STORE)_FULL"/
    await until('an alert says so', async () => full.test(await get('/v1/alerts')), 60_000)
    await until('it is not ready', async () => (await fetch(`${api}/readyz`)).status === 503)
    assert.doesNotMatch(await get('/v1/alerts'), /Aborted/, 'in words of ours')
    const said = output.length
    await until('it tells its progress meanwhile', () => / delivered since /.test(output.slice(said)), 60_000)
    assert.equal(child.exitCode, null, output)

    await rm(filler)
    await until('it is ready', async () => (await fetch(`${api}/readyz`)).ok, 90_000)
    const codes = async (): Promise<string[]> =>
      (JSON.parse(await get('/v1/alerts')) as { alerts: { code: string }[] }).alerts.map(({ code }) => code)
    // A gap stands for ten minutes.
    await until('no alert lasts', async () => (await codes()).every((code) => code === 'GAP_FLAGGED'), 60_000)
    const before = await count()
    await until('more trades are stored', async () => (await count()) > before, 60_000)
    assert.equal(await interrupt(child), 0, output)
    if (child.exitCode === null) await once(child, 'close')
  })
})

/** Writes into a file until there is no room. */
async function fill(path: string): Promise<void> {
  for (const size of [MIB, 4096]) {
    for (;;) {
      try {
        await writeFile(path, Buffer.alloc(size), { flag: 'a' })
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
        break
      }
    }
  }
}
