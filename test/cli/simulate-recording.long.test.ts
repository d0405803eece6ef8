import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text as readAll } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { openUncompressed } from '../../src/adapters/source/recording/compression.ts'
import {
  interrupt,
  makeFolder,
  PlatformProcess,
  runCommand,
  startCommand,
  until,
} from '../e2e/platform-process.ts'
import { readLedger, simulate } from '../simulator/client.ts'
import { copyStoreTemplate } from '../store-template.ts'

const EVENTS = 300
const ROWS = 'select symbol, id, side, price, size, ts from trades order by symbol, id'

/** Starts `tapeline simulate` on files, and gives where it is. */
async function serve(t: TestContext, ...args: readonly string[]): Promise<string> {
  const child = startCommand(['simulate', ...args, '--port', '0', '--json'])
  t.after(() => child.kill('SIGKILL'))
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  return (JSON.parse(String(line)) as { url: string }).url
}

/** The ids of trades that the files of a folder have, as far as they are written. */
async function idsIn(folder: string): Promise<ReadonlySet<string>> {
  const texts = (await readdir(folder)).map(async (file) =>
    readAll(await openUncompressed(join(folder, file), AbortSignal.timeout(10_000))),
  )
  const all = (await Promise.all(texts)).join('')
  // Frames are texts within JSON.
  return new Set([...all.matchAll(/trade_id\\":(\d+)/g)].map(([, id = '']) => id))
}

async function rowsOf(data: string): Promise<readonly unknown[]> {
  const { stdout, stderr, code } = await runCommand(['sql', ROWS, '--data', data, '--json'])
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout) as unknown[]
}

test('a platform on a recording that is served stores the rows that a replay of it stores', async (t) => {
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const ledger = join(folder.path, 'ledger')
  const live = await simulate(t, { exchanges: ['kraken'], events: EVENTS, rate: 100, ledger })
  const config = join(folder.path, 'record.json')
  const out = join(folder.path, 'recordings')
  const source = {
    kind: 'kraken',
    url: `${live.url.replace('http', 'ws')}/kraken`,
    restUrl: `${live.url}/kraken`,
  }
  await writeFile(config, JSON.stringify({ sources: [source] }))
  const recording = startCommand(['record', '--config', config, '--out', out])
  t.after(() => recording.kill('SIGKILL'))
  await live.done
  const emitted = await readLedger(ledger)
  await until('all trades are in the files', async () => {
    const recorded = await idsIn(out)
    return emitted.every(({ id }) => recorded.has(id))
  })
  assert.equal(await interrupt(recording), 0)
  const files = (await readdir(out)).map((file) => join(out, file))

  const [replayed, told] = [join(folder.path, 'replayed'), join(folder.path, 'told')]
  for (const data of [replayed, told]) await copyStoreTemplate(join(data, 'store'))
  const { code, stderr } = await runCommand(['replay', ...files, '--data', replayed, '--exit'])
  assert.equal(code, 0, stderr)
  const rows = await rowsOf(replayed)
  assert.equal(rows.length, EVENTS)

  const url = await serve(t, ...files, '--speed', '4')
  const platform = new PlatformProcess(told, ['--simulator', `${url}/kraken`])
  t.after(() => platform.stop())
  await platform.start()
  await until('all is stored', async () => (await rowsOf(told)).length >= EVENTS)
  assert.deepEqual(await rowsOf(told), rows)
})
