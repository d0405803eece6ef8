import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json, text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const BIN = fileURLToPath(new URL('../bin', import.meta.url))

/** In place of the program: lets new objects live on, and tells how much memory V8 has taken for them before and after. */
const PROGRAM = `
import { getHeapSpaceStatistics } from 'node:v8'

const young = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_size

export function main(words) {
  const first = young()
  for (let round = 0; round < 4; round++) {
    const kept = []
    for (let n = 0; n < 400_000; n++) kept.push({ n })
  }
  const named = process.execArgv.filter((flag) => flag.includes('semi-space'))
  const allocator = process.env.MALLOC_ARENA_MAX ?? ''
  console.log(JSON.stringify({ allocator, pid: process.pid, words, named, first, last: young() }))
  process.exitCode = 3
}
`

interface Told {
  /** How many areas the allocator may have; empty where nobody says. */
  readonly allocator: string
  readonly pid: number
  readonly words: readonly string[]
  readonly named: readonly string[]
  readonly first: number
  readonly last: number
}

/** Runs the launcher before a program of the test. */
async function launch(
  t: TestContext,
  words: readonly string[],
  flags: readonly string[] = [],
): Promise<Told> {
  const root = mkdtempSync(join(tmpdir(), 'tapeline-launcher-'))
  t.after(() => rmSync(root, { recursive: true }))
  cpSync(BIN, join(root, 'bin'), { recursive: true })
  mkdirSync(join(root, 'src'))
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(root, 'src/cli.ts'), PROGRAM)
  const child = spawn(process.execPath, [...flags, join(root, 'bin/tapeline.mjs'), ...words])
  const closed = once(child, 'close')
  const complaints = text(child.stderr)
  const told = (await json(child.stdout)) as Told
  assert.equal(await complaints, '', 'this Node knows every flag')
  assert.deepEqual(await closed, [3, null])
  assert.equal(told.pid, child.pid, 'the process keeps its id')
  assert.deepEqual(told.words, words)
  return told
}

const HALF = 16 * 1024 * 1024

test('a platform has all memory for new objects from its start, and takes no more later', async (t) => {
  if (process.execve === undefined) return t.skip('Windows cannot replace a process')
  for (const command of ['up', 'demo']) {
    const { first, last, allocator } = await launch(t, [command, '--roles', 'gateway'])
    assert.equal(allocator, process.env['MALLOC_ARENA_MAX'] ?? '2')
    assert.equal(first, HALF)
    assert.ok(last <= 2 * HALF, `${last} bytes`)
  }
})

test('other commands start at once, and a size that is named stays', async (t) => {
  assert.deepEqual((await launch(t, ['streams', 'list'])).named, [])
  const named = ['--max-semi-space-size=4']
  assert.deepEqual((await launch(t, ['up'], named)).named, named)
})
