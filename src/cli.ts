import { command as actors } from './cli/actors.ts'
import { type Command, readFlags, type Terminal } from './cli/command.ts'
import { command as demo } from './cli/demo.ts'
import { command as docs } from './cli/docs.ts'
import { command as doctor } from './cli/doctor.ts'
import { command as graph } from './cli/graph.ts'
import { command as migrate } from './cli/migrate.ts'
import { command as replay } from './cli/replay.ts'
import { command as simulate } from './cli/simulate.ts'
import { command as sql } from './cli/sql.ts'
import { command as streams } from './cli/streams.ts'
import { command as tail } from './cli/tail.ts'
import { command as up } from './cli/up.ts'
import { TapelineError, toTapelineError } from './errors.ts'
import { VERSION } from './version.ts'

const COMMANDS: readonly Command[] = [
  demo,
  up,
  simulate,
  streams,
  tail,
  sql,
  actors,
  replay,
  migrate,
  doctor,
  graph,
  docs,
]

/** How long the process may take to end by itself after a signal; then it is ended. */
const END_WITHIN_MS = 12_000

/** Parses the words of the command line, calls the command, prints what goes wrong, and sets the exit code. */
export async function main(args: readonly string[]): Promise<void> {
  const terminal = openTerminal()
  try {
    process.exitCode = await dispatch(args, terminal)
  } catch (error) {
    process.exitCode = report(error, terminal)
  }
}

async function dispatch([name, ...args]: readonly string[], terminal: Terminal): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    terminal.print(overview())
    return 0
  }
  if (name === '--version') {
    terminal.print(VERSION)
    return 0
  }
  const command = COMMANDS.find((each) => each.name === name)
  if (!command)
    throw new TapelineError('USAGE', `there is no command ${JSON.stringify(name)}`, {
      remedy: 'tapeline --help lists them.',
    })
  const { flags, words } = readFlags(command, args)
  if (flags['help']) {
    terminal.print(command.help.trim())
    return 0
  }
  return command.run(flags, words, terminal)
}

function overview(): string {
  const width = Math.max(...COMMANDS.map(({ name }) => name.length))
  const lines = COMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`)
  return [
    `tapeline ${VERSION}: exchange -> Kafka/Redpanda -> TimescaleDB and your applications`,
    '',
    ...lines,
    '',
    'tapeline COMMAND --help tells more. In the checkout: npm run -s tapeline -- COMMAND',
  ].join('\n')
}

function report(error: unknown, terminal: Terminal): number {
  if (terminal.signal.aborted && !(error instanceof TapelineError)) return 1
  const failure = toTapelineError(error)
  terminal.note(`${failure.code}: ${failure.message}\n${failure.remedy}`)
  for (const { field, message, remedy } of failure.fields) terminal.note(`  ${field} ${message}. ${remedy}`)
  // A defect is the one case in which a stack says something to whoever reports it.
  if (failure.code === 'INTERNAL' && error instanceof Error) terminal.note(error.stack ?? '')
  return failure.code === 'USAGE' ? 2 : 1
}

function openTerminal(): Terminal {
  const stop = new AbortController()
  const end = (): void => {
    if (stop.signal.aborted) process.exit(1)
    stop.abort()
    setTimeout(() => process.exit(1), END_WITHIN_MS).unref()
  }
  process.on('SIGINT', end)
  process.on('SIGTERM', end)
  // A reader such as head may close the pipe: then there is nobody to tell anything.
  process.stdout.on('error', () => process.exit(0))
  return {
    print: (text) => process.stdout.write(`${text}\n`),
    note: (text) => process.stderr.write(`${text}\n`),
    signal: stop.signal,
  }
}
