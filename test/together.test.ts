import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { LONGEST, longestFirst } from './longest-first.ts'
import { processFiles, testsTogether } from './together.ts'

const PROJECT = fileURLToPath(new URL('..', import.meta.url))

/** Where each goes wrong in its own way, and the last is well. */
const FILES = {
  'a-throws': `
    beforeEach(() => { globalThis.hooks = true })
    test('a test that fails', () => { throw new Error('wrong at once') })
    test('a test of the same file', () => undefined)`,
  'b-uncaught': `test('a test that leaves something behind', () => { setTimeout(() => { throw new Error('wrong later') }, 1) })
    test('the next test', () => new Promise((resolve) => setTimeout(resolve, 100)))`,
  'c-does-not-load': `import './nowhere.ts'`,
  'd-hangs': `test('a test without an end', () => new Promise((resolve) => setTimeout(resolve, 3_600_000).unref()))`,
  'e-is-well': `test('hooks are those of their own file', () => {
    globalThis.hooks = false
  })
  test('so are these', () => assert.equal(globalThis.hooks, false))`,
  'f.long': `test('a long test', () => undefined)`,
  'f.alone': `test('a test alone', () => undefined)`,
}

describe('tests that share a process', () => {
  test('npm test runs each file once', () => {
    const run = processFiles().flatMap((file) =>
      file.endsWith('together.ts') ? testsTogether(join(PROJECT, dirname(file))) : [join(PROJECT, file)],
    )
    const all = globSync('test/**/*.test.ts', { cwd: PROJECT }).filter(
      (file) => !file.endsWith('.long.test.ts'),
    )
    assert.deepEqual(run.map((file) => relative(PROJECT, file)).sort(), all.sort())
  })

  test('what runs first is there, and no file is lost over the order', () => {
    const all = processFiles()
    assert.deepEqual(
      LONGEST.filter((file) => !all.includes(file)),
      [],
    )
    const ordered = longestFirst(all)
    assert.deepEqual(ordered.slice(0, LONGEST.length), LONGEST)
    assert.deepEqual(ordered.toSorted(), all.toSorted())
  })

  test('what goes wrong in one file has its name and keeps no other from running', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'tapeline-together-'))
    t.after(() => rm(folder, { recursive: true, force: true }))
    await mkdir(join(folder, 'below'))
    const head = `import assert from 'node:assert/strict'\nimport { beforeEach, test } from 'node:test'\n`
    for (const [name, text] of Object.entries(FILES))
      await writeFile(join(folder, name.startsWith('e') ? 'below' : '.', `${name}.test.ts`), head + text)
    const { href } = new URL('./together.ts', import.meta.url)
    const entry = join(folder, 'together.ts')
    await writeFile(entry, `import { runTogether } from '${href}'\nrunTogether(import.meta.dirname)`)

    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const args = ['--test', '--test-reporter=spec', '--test-timeout=5000', entry]
    const { status, stdout } = spawnSync(process.execPath, args, { env, encoding: 'utf8' })

    assert.equal(status, 1, stdout)
    for (const count of ['tests 8', 'pass 5', 'fail 2', 'cancelled 1'])
      assert.ok(stdout.includes(`ℹ ${count}\n`), `${count}: ${stdout}`)
    for (const line of [
      /a-throws\.test\.ts:\d+:\d+\n✖ a test that fails .*\n.*wrong at once/,
      /b-uncaught\.test\.ts.*wrong later/,
      /✖ .*c-does-not-load\.test\.ts loads .*\n.*nowhere\.ts/,
      /d-hangs\.test\.ts:\d+:\d+\n✖ a test without an end .*\n.*timed out/,
      /✔ hooks are those of their own file/,
    ])
      assert.match(stdout, line)
  })
})
