import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { command as actors } from '../../src/cli/actors.ts'
import { type Command, readFlags } from '../../src/cli/command.ts'
import { command as deadLetters } from '../../src/cli/dead-letters.ts'
import { command as demo } from '../../src/cli/demo.ts'
import { command as doctor } from '../../src/cli/doctor.ts'
import { command as graph } from '../../src/cli/graph.ts'
import { command as migrate } from '../../src/cli/migrate.ts'
import { command as replay } from '../../src/cli/replay.ts'
import { command as simulate } from '../../src/cli/simulate.ts'
import { command as sql } from '../../src/cli/sql.ts'
import { command as streams } from '../../src/cli/streams.ts'
import { command as tail } from '../../src/cli/tail.ts'
import { command as up } from '../../src/cli/up.ts'
import { runCommand } from '../e2e/platform-process.ts'
import { recordingTerminal } from './recording-terminal.ts'

const COMMANDS = [demo, up, simulate, streams, tail, sql, actors, deadLetters, replay, migrate, doctor, graph]

async function run(command: Command, args: readonly string[]): Promise<number> {
  const { flags, words } = readFlags(command, args)
  return command.run(flags, words, recordingTerminal())
}

/** Words and flags that a command does not take, and what the message must name. */
const WRONG: readonly (readonly [command: Command, args: readonly string[], message: RegExp])[] = [
  [simulate, ['--rate', 'fast'], /--rate/],
  [simulate, ['--rate', '0'], /--rate/],
  [simulate, ['--port', '70000'], /--port/],
  [simulate, ['--heartbeat', '-1'], /--heartbeat/],
  [simulate, ['--misbehave', 'sulk'], /sulk/],
  [simulate, ['--exit'], /--events/],
  [simulate, ['now'], /now/],
  [streams, ['rename'], /rename/],
  [streams, ['list', 'all'], /all/],
  [streams, ['create'], /--channel/],
  [streams, ['create', '{channel: trade}'], /JSON/],
  [streams, ['create', '{}', '--ttl', '1h'], /--ttl/],
  [streams, ['show'], /ID/],
  [streams, ['delete'], /ID/],
  [tail, [], /STREAM/],
  [tail, ['a', 'b'], /"b"/],
  [tail, ['a', '--from', 'yesterday'], /--from/],
  [tail, ['a', '--limit', '0'], /--limit/],
  [tail, ['a', '--api', 'localhost'], /--api/],
  [sql, [], /statement/],
  [sql, ['select 1', '--max-rows', '9000000'], /--max-rows/],
  [actors, ['kick'], /kick/],
  [actors, ['reset'], /ID/],
  [deadLetters, ['bury'], /bury/],
  [deadLetters, ['list', 'all'], /all/],
  [deadLetters, ['--since', 'yesterday'], /--since/],
  [deadLetters, ['--state', 'lost'], /--state/],
  [deadLetters, ['--all'], /--all/],
  [deadLetters, ['show'], /ID/],
  [deadLetters, ['show', 'a', '--topic', 'b'], /--topic/],
  [deadLetters, ['replay'], /ID/],
  [deadLetters, ['replay', 'a', '--code', 'B'], /--code/],
  [deadLetters, ['replay', 'a', '--all'], /"a"/],
  [replay, [], /FILE/],
  [replay, ['f', '--speed', 'slow'], /--speed/],
  [migrate, ['up'], /up/],
  [doctor, ['now'], /now/],
  [doctor, ['--live', '--simulator', 'http://127.0.0.1:1'], /--simulator/],
]

describe('usage', () => {
  for (const command of COMMANDS) {
    test(`the help of ${command.name} names each of its flags`, () => {
      assert.match(command.help.trim(), new RegExp(`^Usage: tapeline ${command.name}`))
      for (const flag of Object.keys(command.options)) {
        assert.ok(command.help.includes(`--${flag}`), `--${flag} is explained`)
      }
    })
  }

  for (const [command, args, message] of WRONG) {
    test(`${command.name} ${args.join(' ')} is wrong usage`, async () => {
      await assert.rejects(async () => run(command, args), { code: 'USAGE', message })
    })
  }

  test('an unknown flag is wrong usage', () => {
    for (const command of COMMANDS) {
      assert.throws(() => readFlags(command, ['--colour', 'red']), { code: 'USAGE', message: /--colour/ })
    }
  })

  test('the program lists all commands; wrong usage ends with 2, a remedy and no stack', async () => {
    const [overview, help, wrong] = await Promise.all([
      runCommand(['--help']),
      runCommand(['tail', '--help']),
      runCommand(['tail']),
    ])
    for (const { name, summary } of COMMANDS) {
      assert.match(overview.stdout, new RegExp(`^  ${name} +${summary.slice(0, 20)}`, 'm'))
    }
    assert.deepEqual([overview.code, help.code, wrong.code], [0, 0, 2])
    assert.equal(help.stdout.trim(), tail.help.trim())
    assert.match(wrong.stderr, /^USAGE: .*\n.*--help/)
    assert.doesNotMatch(wrong.stderr, /^\s+at /m)
  })
})
