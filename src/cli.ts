import { startTimer } from './async/timers.ts'
import { type Command, readFlags, type Terminal } from './cli/command.ts'
import { visibleText } from './cli/visible-text.ts'
import { TapelineError, toTapelineError } from './errors.ts'
import { createLog } from './telemetry/log.ts'
import { redactText } from './telemetry/secrets-in-text.ts'
import { VERSION } from './version.ts'

/**
 * Each command by its name, in the order of the overview. Only the one that is called is loaded: all of them together take
 * half a second.
 */
const COMMANDS: Readonly<Record<string, () => Promise<{ readonly command: Command }>>> = {
  demo: () => import('./cli/demo.ts'),
  up: () => import('./cli/up.ts'),
  simulate: () => import('./cli/simulate.ts'),
  streams: () => import('./cli/streams.ts'),
  tail: () => import('./cli/tail.ts'),
  sql: () => import('./cli/sql.ts'),
  export: () => import('./cli/export.ts'),
  actors: () => import('./cli/actors.ts'),
  'dead-letters': () => import('./cli/dead-letters.ts'),
  replay: () => import('./cli/replay.ts'),
  migrate: () => import('./cli/migrate.ts'),
  doctor: () => import('./cli/doctor.ts'),
  graph: () => import('./cli/graph.ts'),
  docs: () => import('./cli/docs.ts'),
}

/** How long the process may take to end by itself after a signal; then it is ended. */
const END_WITHIN_MS = 12_000

/** Parses the words of the command line, calls the command, prints what goes wrong, and sets the exit code. */
export async function main(args: readonly string[]): Promise<void> {
  const ending = new AbortController()
  const terminal = openTerminal(ending)
  const uncaught = endOnUncaught(ending)
  try {
    process.exitCode = await dispatch(args, terminal)
  } catch (error) {
    process.exitCode = report(error, terminal)
  }
  if (uncaught.any) process.exitCode = 1
}

/**
 * An error that nobody caught is a defect, after which nothing of this process can be trusted: it is logged with its code, and the
 * process ends in order, as after Ctrl-C, with exit code 1. The next start goes on as after a crash.
 */
function endOnUncaught(ending: AbortController): { readonly any: boolean } {
  const seen = { any: false }
  process.on('uncaughtException', (error) => {
    const log = createLog({ level: 'error', pretty: process.stderr.isTTY === true })
    log.error({ code: toTapelineError(error).code, err: error }, 'nobody caught this error: the process ends')
    if (seen.any) return
    seen.any = true
    ending.abort()
    startTimer(() => process.exit(1), END_WITHIN_MS).unref()
  })
  return seen
}

async function dispatch([name, ...args]: readonly string[], terminal: Terminal): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    terminal.print(await overview())
    return 0
  }
  if (name === '--version') {
    terminal.print(VERSION)
    return 0
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (!load)
    throw new TapelineError('USAGE', `there is no command ${JSON.stringify(name)}`, {
      remedy: 'tapeline --help lists them.',
    })
  const { command } = await load()
  const { flags, words } = readFlags(command, args)
  if (flags['help']) {
    terminal.print(command.help.trim())
    return 0
  }
  return command.run(flags, words, terminal)
}

async function overview(): Promise<string> {
  const loaded = await Promise.all(Object.values(COMMANDS).map((load) => load()))
  const width = Math.max(...loaded.map(({ command }) => command.name.length))
  const lines = loaded.map(({ command }) => `  ${command.name.padEnd(width)}  ${command.summary}`)
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
  const note = (text: string): void => terminal.note(redactText(text))
  note(`${failure.code}: ${failure.message}\n${failure.remedy}`)
  for (const { field, message, remedy } of failure.fields) note(`  ${field} ${message}. ${remedy}`)
  // A defect is the one case in which a stack says something to whoever reports it.
  if (failure.code === 'INTERNAL' && error instanceof Error) note(error.stack ?? '')
  return failure.code === 'USAGE' ? 2 : 1
}

function openTerminal(stop: AbortController): Terminal {
  const end = (): void => {
    if (stop.signal.aborted) process.exit(1)
    stop.abort()
    startTimer(() => process.exit(1), END_WITHIN_MS).unref()
  }
  process.on('SIGINT', end)
  process.on('SIGTERM', end)
  // A reader such as head may close the pipe: then there is nobody to tell anything.
  process.stdout.on('error', () => process.exit(0))
  return {
    print: (text) => process.stdout.write(`${visibleText(text)}\n`),
    note: (text) => process.stderr.write(`${visibleText(text)}\n`),
    signal: stop.signal,
  }
}
