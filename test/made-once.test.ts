import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { madeOnce } from './made-once.ts'

function folderOf(t: TestContext): string {
  const parent = mkdtempSync(join(tmpdir(), 'tapeline-made-'))
  t.after(() => rmSync(parent, { recursive: true }))
  return join(parent, 'made')
}

describe('a folder that is made once', () => {
  test('is made by one of several at once, and the others get it whole', async (t) => {
    const folder = folderOf(t)
    let calls = 0
    const make = async (aside: string): Promise<void> => {
      calls++
      await new Promise(setImmediate)
      assert.ok(!existsSync(folder), 'nobody sees half of it')
      await writeFile(join(aside, 'content'), 'whole')
    }
    const made = await Promise.all([1, 2, 3].map(() => madeOnce(folder, make)))
    assert.deepEqual(made, [folder, folder, folder])
    assert.equal(readFileSync(join(folder, 'content'), 'utf8'), 'whole')
    assert.equal(calls, 1)
    assert.deepEqual(readdirSync(join(folder, '..')), ['made'], 'nothing else is left')
  })

  test('is made by the next where one fails, who hears of it', async (t) => {
    const folder = folderOf(t)
    await assert.rejects(
      madeOnce(folder, async () => {
        throw new Error('no room')
      }),
      /no room/,
    )
    await madeOnce(folder, async () => {})
    assert.ok(existsSync(folder))
  })

  test('is made although a process was killed while it made it', async (t) => {
    const folder = folderOf(t)
    const { pid } = spawnSync(process.execPath, ['--version'])
    writeFileSync(`${folder}.lock`, String(pid))
    await madeOnce(folder, async () => {})
    assert.deepEqual(readdirSync(join(folder, '..')), ['made'])
  })
})
