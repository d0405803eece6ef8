import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { before, test } from 'node:test'
import { promisify } from 'node:util'
import { COMMANDS } from '../../src/cli/commands.ts'
import { runCommand } from '../e2e/platform-process.ts'

const run = promisify(execFile)

let scripts: { readonly bash: string; readonly zsh: string }

before(async () => {
  const [bash, zsh] = await Promise.all(
    ['bash', 'zsh'].map(async (shell) => (await runCommand(['completion', shell, '--name', 'T'])).stdout),
  )
  scripts = { bash: bash ?? '', zsh: zsh ?? '' }
})

/** What bash offers after a line that ends in the word that is typed. */
async function offered(line: string): Promise<readonly string[]> {
  const words = line.split(' ')
  const script = `${scripts.bash}
    COMP_LINE="$1"; COMP_CWORD=${words.length - 1}
    _tapeline T "$2" "$3"
    printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout } = await run('bash', [
    ...['-c', script, 'bash', line],
    ...[words.at(-1) ?? '', words.at(-2) ?? ''],
  ])
  return stdout.trim().split('\n')
}

test('bash completes commands, subcommands, flags, and the words that a flag takes', async () => {
  assert.deepEqual((await offered('T ')).toSorted(), [
    ...['--help', '--version', 'help', 'version', ...Object.keys(COMMANDS)].toSorted(),
  ])
  assert.deepEqual(await offered('T dead'), ['dead-letters'])
  assert.deepEqual(await offered('T streams cr'), ['create'])
  assert.deepEqual(await offered('T sql --max'), ['--max-rows'])
  assert.deepEqual(await offered('T streams create --channel q'), ['quote'])
  assert.deepEqual(await offered('T graph --format s'), ['svg'])
  assert.deepEqual(await offered('T export --format '), ['csv', 'ndjson', 'parquet'])
  assert.deepEqual(await offered('T export --channel '), ['trade', 'quote', 'candle'])
  assert.deepEqual(await offered('T help ta'), ['tail'])
  assert.deepEqual(await offered('T nothing '), [''])
  assert.match(scripts.bash, /complete .* T$/m)
})

test('zsh gets the same after it has loaded what reads scripts of bash', async () => {
  assert.match(scripts.zsh, /bashcompinit\n/)
  assert.ok(scripts.zsh.endsWith(scripts.bash))
})
