import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeFolder, runCommand } from '../e2e/platform-process.ts'
import { copyStoreTemplate } from '../store-template.ts'

/** The two frames, and the doubt at the end of the recording. */
test('a recording of books alone is replayed, and its records are counted', async (t) => {
  const folder = await makeFolder()
  t.after(() => folder.remove())
  const [data, file] = [join(folder.path, 'data'), join(folder.path, 'books')]
  await copyStoreTemplate(join(data, 'store'))
  const of = { product_id: 'BTC-USD', time: '2021-04-17T16:43:37.089723Z' }
  const frames = [
    { type: 'snapshot', ...of, bids: [['10', '1']], asks: [['11', '1']] },
    { type: 'l2update', ...of, changes: [['buy', '9', '2']] },
  ]
  await writeFile(file, frames.map((frame, i) => `161867781${7 + i}.1: ${JSON.stringify(frame)}\n`).join(''))
  const { code, stdout, stderr } = await runCommand(['replay', file, '--data', data, '--exit'])
  assert.equal(code, 0, stderr)
  assert.match(stdout, /^replayed +0 trades, 0 quotes, 3 book records, 1 markets\n/)
})
