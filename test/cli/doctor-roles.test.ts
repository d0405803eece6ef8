import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { readFlags } from '../../src/cli/command.ts'
import { command } from '../../src/cli/doctor.ts'
import type { Report } from '../e2e/start-up.ts'
import { recordingTerminal } from './recording-terminal.ts'

/** Servers that nobody listens at. */
const SERVERS = `broker: { kind: kafka, bootstrap: [127.0.0.1:1] }
store: { kind: timescale, url: postgres://tapeline@127.0.0.1:1/market }
`

describe('doctor', () => {
  let folder: string
  let file: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tapeline-doctor-'))
    file = join(folder, 'servers.yaml')
    await writeFile(file, SERVERS)
  })
  after(() => rm(folder, { recursive: true, force: true }))

  async function checked(...args: readonly string[]): Promise<Map<string, string>> {
    const data = join(folder, 'data')
    const { flags, words } = readFlags(command, ['--json', '--port', '0', '--data', data, ...args])
    const terminal = recordingTerminal()
    await command.run(flags, words, terminal)
    const { findings } = JSON.parse(terminal.printed.join('')) as Report
    return new Map(findings.map(({ check, detail }) => [check, detail]))
  }

  const NEEDED = {
    coordinator: ['node', 'configuration', 'broker', 'port'],
    'consumer-fixed': ['node', 'configuration', 'broker', 'store', 'port'],
    producer: [
      'node',
      'configuration',
      'broker',
      'source key',
      'source',
      'source REST',
      'source markets',
      'port',
    ],
  }
  for (const [role, checks] of Object.entries(NEEDED)) {
    test(`asks for what ${role} uses, and for nothing else`, async () => {
      const found = await checked('--config', file, '--roles', role, '--simulator', 'http://127.0.0.1:1')
      assert.deepEqual([...found.keys()], checks)
    })
  }

  test('names variables that are no settings, and none of their values', async (t) => {
    process.env['TAPELINE_LOG_LEVLE'] = 'geheim'
    t.after(() => delete process.env['TAPELINE_LOG_LEVLE'])
    const found = await checked('--roles', 'coordinator', '--kafka', '127.0.0.1:1')
    assert.equal(found.get('environment'), 'no settings: TAPELINE_LOG_LEVLE (near to TAPELINE_LOG_LEVEL)')
  })

  test('says which file it read, and where there is none', async () => {
    const args = ['--roles', 'coordinator', '--kafka', '127.0.0.1:1'] as const
    assert.equal((await checked('--config', file, ...args)).get('configuration'), `valid: ${file}`)
    assert.match((await checked(...args)).get('configuration') ?? '', /^valid: no file/)
    const wrong = join(folder, 'wrong.yaml')
    await writeFile(wrong, 'topics: { partitions: 0 }\n')
    assert.match(
      (await checked('--config', wrong)).get('configuration') ?? '',
      /must be at least 1 .*wrong\.yaml/,
    )
  })
})
