import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { command as up } from '../../src/cli/up.ts'
import { loadConfig } from '../../src/config.ts'
import { environmentName, ROLES, settingPaths } from '../../src/config-schema.ts'
import { END_WITHIN_S, pathOf, readText } from './files.ts'

const UNIT = 'deploy/systemd/tapeline@.service'
const lines = readText(UNIT).split('\n')

/** All values of a directive, in order. */
function directive(name: string): string[] {
  return lines.filter((line) => line.startsWith(`${name}=`)).map((line) => line.slice(name.length + 1))
}

const verifier = spawnSync('systemd-analyze', ['--version']).status === 0

describe('the unit of systemd', () => {
  test('is one that systemd takes', {
    skip: verifier ? false : 'systemd-analyze is not here (apt-get install systemd)',
  }, () => {
    const folder = mkdtempSync(join(tmpdir(), 'tapeline-unit-'))
    try {
      // The program that it starts is not on this machine; whatever systemd says of all other lines is a mistake.
      const text = readText(UNIT).replace('/usr/bin/node', process.execPath)
      const file = join(folder, 'tapeline@.service')
      writeFileSync(file, text)
      const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], {
        encoding: 'utf8',
      })
      const about = stderr.split('\n').filter((line) => line.includes('tapeline@'))
      assert.deepEqual([status, about], [0, []])
      writeFileSync(file, text.replace('LockPersonality=', 'LockPersonalty='))
      const wrong = spawnSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8' })
      assert.match(wrong.stderr, /LockPersonalty/, 'it would notice')
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('starts a role by flags that there are, with the example configuration', () => {
    const [start = ''] = directive('ExecStart')
    const [node, entry, command, ...flags] = start.split(' ')
    assert.deepEqual([node, entry, command], ['/usr/bin/node', '/opt/tapeline/bin/tapeline.mjs', 'up'])
    for (const flag of flags.filter((word) => word.startsWith('--')))
      assert.ok(flag.slice(2) in (up.options ?? {}), flag)
    assert.equal(flags[flags.indexOf('--roles') + 1], '%i')
    assert.equal(flags[flags.indexOf('--config') + 1], '/etc/tapeline/tapeline.yaml')
    const [enabled = ''] = /tapeline@\S.*/.exec(lines[0] ?? '') ?? []
    assert.deepEqual(
      enabled
        .split(' ')
        .map((unit) => unit.replace('tapeline@', ''))
        .sort(),
      [...ROLES].sort(),
    )
  })

  test('sets settings that exist, and gives each password as a file', () => {
    const known = settingPaths().map(environmentName)
    const credentials = directive('LoadCredential').map((value) => value.split(':')[0])
    const variables = directive('Environment').map((value) => value.split('=', 2))
    for (const [name = '', file = ''] of variables) {
      assert.ok(known.includes(name), name)
      assert.ok(credentials.includes(file.replace('%d/', '')), file)
    }
    assert.equal(variables.length, credentials.length)
  })

  test('may write into the data folder alone, and gives the process time to end', () => {
    const file = pathOf('deploy/tapeline.yaml')
    const { data } = loadConfig({ file, environment: { TAPELINE_STORE_PASSWORD: 'secret' } })
    assert.equal(data, `/var/lib/${directive('StateDirectory')[0]}`)
    assert.deepEqual(directive('ProtectSystem'), ['strict'])
    assert.deepEqual(directive('ReadWritePaths'), [])
    assert.ok(Number.parseInt(directive('TimeoutStopSec')[0] ?? '', 10) > END_WITHIN_S)
    assert.deepEqual(directive('MemoryDenyWriteExecute'), [], 'node could not compile')
  })
})
