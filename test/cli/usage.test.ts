import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Command, readFlags } from '../../src/cli/command.ts'
import { COMMANDS as ENTRIES } from '../../src/cli/commands.ts'
import { helpOf, overview } from '../../src/cli/help.ts'
import { runProgram } from '../e2e/platform-process.ts'
import { recordingTerminal } from './recording-terminal.ts'

const COMMANDS = await Promise.all(Object.values(ENTRIES).map(async ({ load }) => (await load()).command))

function commandOf(name: string): Command {
  const command = COMMANDS.find((each) => each.name === name)
  assert.ok(command, name)
  return command
}

async function run(command: Command, args: readonly string[]): Promise<number> {
  const { flags, words } = readFlags(command, args)
  return command.run(flags, words, recordingTerminal())
}

/** Words and flags that a command does not take, and what the message must name. */
const WRONG: readonly (readonly [name: string, args: readonly string[], message: RegExp])[] = [
  ['simulate', ['--rate', 'fast'], /--rate/],
  ['simulate', ['--rate', '0'], /--rate/],
  ['simulate', ['--port', '70000'], /--port/],
  ['up', ['--port', '99999'], /^--port takes at most 65535, not 99999$/],
  ['demo', ['--port', '99999'], /^--port takes at most 65535, not 99999$/],
  ['up', ['--host', 'a b'], /^--host "a b" is not a host/],
  ['up', ['--log-level', 'loud'], /^--log-level takes debug or /],
  ['up', ['--log', 'loud'], /^--log takes pretty or json/],
  ['simulate', ['--heartbeat', '-1'], /--heartbeat/],
  ['simulate', ['--misbehave', 'sulk'], /sulk/],
  ['simulate', ['--exchange', 'kraken,mtgox'], /^--exchange takes .*kraken.*, not "mtgox"$/],
  ['up', ['--simulator', 'http://127.0.0.1:1/mtgox'], /the name of an exchange .*, not "mtgox"$/],
  ['simulate', ['--exit'], /--events/],
  ['streams', ['rename'], /rename/],
  ['streams', ['lsit'], /^"lsit" is none of .*; did you mean list\?$/],
  ['actors', ['rest'], /; did you mean reset\?$/],
  ['streams', ['create', '--chanel', 'trade'], /^streams has no flag --chanel; did you mean --channel\?$/],
  ['streams', ['-x'], /^streams has no flag -x$/],
  ['sql', ['x', '--max-rows'], /^--max-rows takes a value/],
  ['sql', ['x', '--max-rows', '-3'], /^--max-rows takes a value; .* --max-rows=VALUE$/],
  ['sql', ['x', '--json=3'], /^--json takes no value$/],
  ['sql', ['x', '--help=3'], /^--help takes no value$/],
  ['streams', ['list', 'all'], /all/],
  ['streams', ['create'], /--channel/],
  ['streams', ['create', '{channel: trade}'], /JSON/],
  ['streams', ['create', '{}', '--ttl', '1h'], /--ttl/],
  ['streams', ['show'], /ID/],
  ['streams', ['delete'], /ID/],
  ['tail', [], /STREAM/],
  ['tail', ['a', 'b'], /"b"/],
  ['tail', ['a', '--from', 'yesterday'], /--from/],
  ['tail', ['a', '--limit', '0'], /--limit/],
  ['tail', ['a', '--api', 'localhost'], /--api/],
  ['sql', [], /statement/],
  ['sql', ['select 1', '--max-rows', '9000000'], /--max-rows/],
  ['actors', ['kick'], /kick/],
  ['actors', ['reset'], /ID/],
  ['webhooks', ['send'], /send/],
  ['webhooks', ['create'], /URL/],
  ['webhooks', ['create', 'https://x'], /--stream/],
  ['webhooks', ['create', 'https://x', '--stream', 'a', '--channel', 'trade'], /--channel/],
  ['webhooks', ['create', 'https://x', '--channel', 'trade', '--cursor', 'a'], /--cursor/],
  ['webhooks', ['create', 'https://x', '--stream', 'a', '--max-events', '0'], /--max-events/],
  ['webhooks', ['pause'], /ID/],
  ['webhooks', ['resume', 'a', 'b'], /b/],
  ['webhooks', ['delete'], /ID/],
  ['dead-letters', ['bury'], /bury/],
  ['dead-letters', ['list', 'all'], /all/],
  ['dead-letters', ['--since', 'yesterday'], /--since/],
  ['dead-letters', ['--state', 'lost'], /--state/],
  ['dead-letters', ['--all'], /--all/],
  ['dead-letters', ['show'], /ID/],
  ['dead-letters', ['show', 'a', '--topic', 'b'], /--topic/],
  ['dead-letters', ['replay'], /ID/],
  ['dead-letters', ['replay', 'a', '--code', 'B'], /--code/],
  ['dead-letters', ['replay', 'a', '--all'], /"a"/],
  ['replay', [], /FILE/],
  ['replay', ['f', '--speed', 'slow'], /--speed/],
  ['migrate', ['up'], /up/],
  ['doctor', ['now'], /now/],
  ['completion', [], /bash/],
  ['completion', ['fish'], /fish/],
  ['completion', ['bash', '--name', 'a b'], /--name/],
  ['doctor', ['--live', '--simulator', 'http://127.0.0.1:1'], /--simulator/],
]

/** Commands that take the flags of another one, whose help explains them. */
const EXPLAINED_BY: Readonly<Record<string, string>> = { doctor: 'up', webhooks: 'streams' }

describe('usage', () => {
  for (const command of COMMANDS) {
    test(`the help of ${command.name} names each of its flags`, () => {
      assert.match(command.help.trim(), new RegExp(`^Usage: tapeline ${command.name}`))
      for (const flag of Object.keys(command.options)) {
        assert.ok(command.help.includes(`--${flag}`), `--${flag} is named`)
        const by = [command, commandOf(EXPLAINED_BY[command.name] ?? command.name)]
        const line = new RegExp(`^ {2}(--\\S+, )?--${flag}\\b.*? {2}`, 'm')
        assert.ok(
          by.some(({ help }) => line.test(help)),
          `--${flag} is explained`,
        )
      }
    })
  }

  for (const command of COMMANDS) {
    test(`the help of ${command.name} has what its flags mean in one column, and no line over 110`, () => {
      const lines = helpOf(command).split('\n')
      const columns = lines.flatMap((line) => {
        const [flag] = /^ {2}(--\S.*?|[A-Z]+) {2,}(?=\S)/.exec(line) ?? []
        return flag === undefined ? [] : [flag.length]
      })
      assert.deepEqual([...new Set(columns)].length <= 1, true, helpOf(command))
      assert.deepEqual(
        lines.filter((line) => line.length > 110 || /^ {7}\[/.test(line)),
        [],
        'a usage that goes on stands further in',
      )
    })
  }

  test('the list of commands has each of them once, under a heading', () => {
    const [, ...parts] = overview().split('\n\n')
    const listed = parts.slice(0, -1).flatMap((part) => part.split('\n').slice(1))
    const names = listed.map((line) => /^ {2}(\S+) {2}/.exec(line)?.[1])
    assert.deepEqual(names, Object.keys(ENTRIES))
  })

  test('help fills its lines, however it was written', () => {
    const help =
      '\nUsage: tapeline x\n\nOne\ntwo\nthree.\n\n  --a A   four\n          five\n  --bc    six:\n          a    one\n'
    const lines = helpOf({ name: 'x', help, options: {}, run: () => Promise.resolve(0) }).split('\n')
    assert.deepEqual(lines.slice(2), [
      'One two three.',
      '',
      '  --a A  four five',
      '  --bc   six:',
      '         a    one',
    ])
  })

  for (const [name, args, message] of WRONG) {
    test(`${name} ${args.join(' ')} is wrong usage`, async () => {
      await assert.rejects(async () => run(commandOf(name), args), { code: 'USAGE', message })
    })
  }

  test('an unknown flag is wrong usage', () => {
    for (const command of COMMANDS) {
      assert.throws(() => readFlags(command, ['--colour', 'red']), { code: 'USAGE', message: /--colour/ })
    }
  })

  test('the program lists all commands; wrong usage ends with 2, a remedy and no stack', async () => {
    const [overview, help, flag, version, wrong, unknown, misspelt] = await Promise.all([
      runProgram(['help']),
      runProgram(['help', 'tail']),
      runProgram(['tail', '--help']),
      runProgram(['version']),
      runProgram(['tail']),
      runProgram(['help', 'tale']),
      runProgram(['strems']),
    ])
    for (const [name, { summary }] of Object.entries(ENTRIES)) {
      assert.match(overview.stdout, new RegExp(`^  ${name} +${summary.slice(0, 20)}`, 'm'))
    }
    assert.deepEqual(
      [overview, help, flag, version, wrong, unknown, misspelt].map(({ code }) => code),
      [0, 0, 0, 0, 2, 2, 2],
    )
    assert.equal(help.stdout.trim(), helpOf(commandOf('tail')))
    assert.equal(flag.stdout, help.stdout)
    assert.match(version.stdout, /^\d+\.\d+\.\d+/)
    assert.match(wrong.stderr, /^USAGE: .*\n.*npm run -s tapeline -- tail --help/)
    assert.match(unknown.stderr, /^USAGE: there is no command "tale"\n/)
    assert.match(misspelt.stderr, /^USAGE: there is no command "strems"; did you mean streams\?/)
    assert.doesNotMatch(wrong.stderr, /^\s+at /m)
  })
})
