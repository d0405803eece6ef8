import { startTimer } from './async/timers.ts'
import { type Command, readFlags, type Terminal } from './cli/command.ts'
import { COMMANDS } from './cli/commands.ts'
import { helpOf, overview } from './cli/help.ts'
import { chooseFormatEarly } from './cli/platform-flags.ts'
import { reportFailure } from './cli/report.ts'
import { END_WITHIN_MS, openTerminal, withNotesInLog } from './cli/terminal.ts'
import { didYouMean } from './domain/near.ts'
import { TapelineError, toTapelineError } from './errors.ts'
import { createLog, logFormat } from './telemetry/log.ts'
import { VERSION } from './version.ts'

/** How long the process may take to end by itself once everything is closed. */
const LINGER_MS = 1_000

const HELP = ['help', '--help', '-h']

/** The program: calls the command of the command line over this process's own streams, and sets the exit code. */
export async function main(args: readonly string[]): Promise<void> {
  const ending = new AbortController()
  const terminal = openTerminal(ending)
  const uncaught = endOnUncaught(ending)
  process.exitCode = await runCommandLine(args, terminal)
  if (uncaught.any) process.exitCode = 1
  if (ending.signal.aborted) endSoon()
}

/**
 * After Ctrl-C all is closed by now. What is open all the same is a defect; it is named, and holds nobody up who waits for the end.
 */
function endSoon(): void {
  const end = (): void => {
    const log = createLog({ level: 'warn', pretty: logFormat() === 'pretty' })
    log.warn(
      { open: process.getActiveResourcesInfo() },
      'something is still open: the process ends all the same',
    )
    process.exit()
  }
  startTimer(end, LINGER_MS).unref()
}

/** Parses the words of a command line, calls the command, prints what goes wrong, and gives the exit code. */
export async function runCommandLine(args: readonly string[], terminal: Terminal): Promise<number> {
  let command: Command | undefined
  try {
    const [name, ...rest] = args
    if (name === undefined || HELP.includes(name)) await help(rest[0], terminal)
    else if (name === 'version' || name === '--version') terminal.print(VERSION)
    else {
      command = await load(name)
      return await run(command, rest, terminal)
    }
    return 0
  } catch (error) {
    return reportFailure(error, terminal, command)
  }
}

/**
 * An error that nobody caught is a defect, after which nothing of this process can be trusted: it is logged with its code, and the
 * process ends in order, as after Ctrl-C, with exit code 1. The next start goes on as after a crash.
 */
function endOnUncaught(ending: AbortController): { readonly any: boolean } {
  const seen = { any: false }
  process.on('uncaughtException', (error) => {
    const log = createLog({ level: 'error', pretty: logFormat() === 'pretty' })
    log.error({ code: toTapelineError(error).code, err: error }, 'nobody caught this error: the process ends')
    if (seen.any) return
    seen.any = true
    ending.abort()
    startTimer(() => process.exit(1), END_WITHIN_MS).unref()
  })
  return seen
}

async function run(command: Command, args: readonly string[], terminal: Terminal): Promise<number> {
  const { flags, words } = readFlags(command, args)
  if (flags['help']) {
    terminal.print(helpOf(command))
    return 0
  }
  if (!command.runsPlatform) return command.run(flags, words, terminal)
  chooseFormatEarly(flags)
  return command.run(flags, words, withNotesInLog(terminal))
}

async function help(name: string | undefined, terminal: Terminal): Promise<void> {
  terminal.print(name === undefined ? overview() : helpOf(await load(name)))
}

/** The command of a name. Raises USAGE. */
async function load(name: string): Promise<Command> {
  const found = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (found) return (await found.load()).command
  const near = didYouMean(name, [...Object.keys(COMMANDS), 'help', 'version'])
  throw new TapelineError('USAGE', `there is no command ${JSON.stringify(name)}${near}`, {
    remedy: 'tapeline --help lists them.',
  })
}
