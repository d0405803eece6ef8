import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const BIN = fileURLToPath(new URL('../bin', import.meta.url))

/** What the launcher says on a Node that is too old, in a checkout with these files. */
function refusal(files: readonly string[], words: readonly string[]): string {
  const root = mkdtempSync(join(tmpdir(), 'tapeline-launcher-'))
  try {
    cpSync(BIN, join(root, 'bin'), { recursive: true })
    for (const file of files) {
      mkdirSync(join(root, file, '..'), { recursive: true })
      writeFileSync(join(root, file), '')
    }
    const old = join(root, 'old.mjs')
    writeFileSync(old, "Object.defineProperty(process.versions, 'node', { value: '20.20.2' })")
    const args = ['--import', old, join(root, 'bin/tapeline.mjs'), ...words]
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    assert.equal(status, 1, stderr)
    assert.match(stderr, /^NODE_TOO_OLD: .* 20\.20\.2\.\n/)
    return stderr
  } finally {
    rmSync(root, { recursive: true })
  }
}

const CHECKOUT = ['src/cli.ts']
const INSTALLED = [...CHECKOUT, 'node_modules/node/bin/node']

test('on an old Node the launcher says what to run instead, by what is installed', () => {
  const command = refusal(INSTALLED, ['up', '--database', 'postgres://u:secret@db/x'])
  assert.match(command, /Run instead:\n {2}npm run -s tapeline -- up FLAGS/)
  assert.doesNotMatch(command, /npm ci|secret/, 'it is installed, and a flag may hold a secret')
  assert.match(refusal(INSTALLED, ['demo']), /Run instead:\n {2}npm start\n/)
  assert.match(refusal(INSTALLED, []), /npm run -s tapeline -- --help\n/)
  assert.match(refusal(CHECKOUT, ['doctor']), /Run "npm ci".*\n {2}npm run -s tapeline -- doctor\n/)
  assert.match(refusal([...CHECKOUT, 'node_modules/x'], ['doctor']), /--ignore-scripts.*npm rebuild node/)
  assert.match(refusal([], ['up']), /Install Node 24\.15 or newer/)
})

test('a checkout keeps what Node has compiled for the next start', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'tapeline-launcher-'))
  t.after(() => rmSync(root, { recursive: true }))
  cpSync(BIN, join(root, 'bin'), { recursive: true })
  mkdirSync(join(root, 'src'))
  writeFileSync(join(root, 'src/cli.ts'), 'export function main(): void {}\n')
  const { NODE_COMPILE_CACHE: _, ...env } = process.env
  const { status, stderr } = spawnSync(process.execPath, [join(root, 'bin/tapeline.mjs')], {
    env,
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
  assert.notDeepEqual(readdirSync(join(root, 'node_modules/.cache/compiled')), [])
})
