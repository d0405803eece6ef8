import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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

const ZSH_MISSING = spawnSync('zsh', ['--version']).error
  ? 'zsh is not installed (apt-get install zsh)'
  : false
const ZSH_MS = 20_000

/** Says at a key what stands in the line, and empties it: what a terminal shows comes in pieces. */
const TELL = `
tell() { zle -I; print -r -- "<$BUFFER>"; BUFFER= }
zle -N tell
bindkey '^G' tell
PS1='READY> '
`
/** Gives a zsh at a terminal of its own each line with a tab at its end, and prints what became of it. */
const AT_A_TERMINAL = `
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "source $1"
zpty -r shell shown '*READY> *'
shift
for line in "$@"; do
  zpty -w -n shell "$line"$'\\t\\a'
  zpty -r shell shown '*<*>*'
  print -r -- "\${\${shown##*<}%%>*}"
done
zpty -d shell`

test('zsh completes the same at a terminal', { skip: ZSH_MISSING }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'tapeline-zsh-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'completion.zsh')
  await writeFile(file, `${scripts.zsh}${TELL}`)
  const wanted = {
    'T dead': 'T dead-letters ',
    'T streams cr': 'T streams create ',
    'T sql --max': 'T sql --max-rows ',
    'T graph --format s': 'T graph --format svg ',
    'T help ta': 'T help tail ',
  }
  const environment = { ...process.env, HOME: folder, TERM: 'dumb' }
  const lines = Object.keys(wanted)
  const { stdout } = await run('zsh', ['-f', '-c', AT_A_TERMINAL, 'zsh', file, ...lines], {
    ...{ timeout: ZSH_MS, env: environment },
  })
  assert.deepEqual(stdout.split('\n').slice(0, -1), Object.values(wanted))
})

test('zsh gets the same after it has loaded what reads scripts of bash', async () => {
  assert.match(scripts.zsh, /bashcompinit\n/)
  assert.ok(scripts.zsh.endsWith(scripts.bash))
})
