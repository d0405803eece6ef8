import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** What a checkout does not have, or is linked. */
const LEFT_OUT = ['node_modules', '.git', 'dist', '.tapeline'].map((name) => join(ROOT, name))
/** Only what the new source is made of is looked at by the compiler: the whole tree takes it half a minute. */
const CHECKED = ['src/adapters/source', 'test/adapters/source/tide.test.ts']

test('the recipe for a source in CONTRIBUTING.md, followed to the letter, adds one that passes its tests', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'tapeline-recipe-'))
  t.after(() => rmSync(root, { recursive: true }))
  cpSync(ROOT, root, { recursive: true, filter: (path) => !LEFT_OUT.includes(path) })
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'))
  const { compilerOptions } = JSON.parse(readFileSync(join(ROOT, 'tsconfig.json'), 'utf8'))
  const settings = { compilerOptions: { ...compilerOptions, incremental: false }, include: CHECKED }
  writeFileSync(join(root, 'tsconfig.json'), JSON.stringify(settings))

  const text = readFileSync(join(ROOT, 'CONTRIBUTING.md'), 'utf8')
  const [, recipe = ''] = /^## A source\n(.*?)^## /ms.exec(text) ?? []
  let file = ''
  let steps = 0
  for (const [, named, indent = '', language, block = ''] of recipe.matchAll(
    /^\d+\. \*\*[^*]+\*\*: `([^`]+)`|^( *)```(sh|diff)\n(.*?)\n *```$/gms,
  )) {
    if (named !== undefined) file = join(root, named)
    const lines = block.split('\n').map((line) => line.slice(indent.length))
    if (language === 'sh') await run(root, lines.join('\n'))
    if (language === 'diff') writeFileSync(file, changed(readFileSync(file, 'utf8'), lines))
    steps++
  }
  assert.equal(steps, 9, 'the recipe has five files, two changes and two blocks of commands')
})

/** The text with the changes of a diff, whose pieces are parted by `@@`: each must stand there exactly once. */
function changed(text: string, lines: readonly string[]): string {
  const without = (sign: string, piece: readonly string[]) =>
    piece.filter((line) => !line.startsWith(sign)).map((line) => `${line.slice(1)}\n`)
  const pieces = lines.join('\n').split('\n@@\n')
  return pieces.reduce((before, piece) => {
    const old = without('+', piece.split('\n')).join('')
    assert.equal(before.split(old).length, 2, `this stands there once: ${old}`)
    return before.replace(old, () => without('-', piece.split('\n')).join(''))
  }, text)
}

/** Runs commands as a shell does, and fails with what they print. npx takes what is installed, which needs no npm. */
async function run(cwd: string, commands: string): Promise<void> {
  const env = { ...process.env, PATH: `${join(cwd, 'node_modules/.bin')}:${process.env['PATH']}` }
  // Else the tests that it starts report to this run instead of printing.
  delete (env as NodeJS.ProcessEnv)['NODE_TEST_CONTEXT']
  const script = `set -e\nnpx() { "$@"; }\n${commands}`
  try {
    await promisify(execFile)('sh', ['-c', script], { cwd, env })
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    assert.fail(`${commands}\n${stdout}\n${stderr}`)
  }
}
