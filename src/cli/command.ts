import type { Writable } from 'node:stream'
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { didYouMean } from '../domain/near.ts'
import { TapelineError } from '../errors.ts'
import type { Painted } from './paint.ts'

/** Where a command writes, and what ends it early. */
export interface Terminal {
  /** What a program or a person asked for: standard output. */
  print(...texts: readonly (string | Painted)[]): void
  /** The same of many lines, as fast as its reader takes them. Rejects when `signal` aborts. */
  printLines(lines: Iterable<string>): Promise<void>
  /** Standard output as it is, for what is no text. */
  readonly stdout: Writable
  /** Progress, hints and warnings: standard error. */
  note(...texts: readonly (string | Painted)[]): void
  /** The width of the terminal that is printed to; undefined where it is none. */
  readonly columns: number | undefined
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal
}

/** Parsed flags by name. */
export type Flags = Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>

export interface Command {
  readonly name: string
  /** Whether it runs until Ctrl-C with a log on standard error, where all is of one format then. */
  readonly runsPlatform?: true
  /** What may stand after it, such as `list`. */
  readonly subcommands?: readonly string[]
  /** The words and flags it takes, for `--help`. */
  readonly help: string
  readonly options: ParseArgsOptionsConfig
  /** Gives the exit code: 0 done, 1 failed, 2 wrong usage. Errors it throws are printed by the caller. */
  run(flags: Flags, words: readonly string[], terminal: Terminal): Promise<number>
}

/** Reads the words and flags of a command. Raises USAGE. */
export function readFlags(command: Command, args: readonly string[]): { flags: Flags; words: string[] } {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { ...command.options, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
      strict: true,
    })
    return { flags: values as Flags, words: positionals }
  } catch (error) {
    throw new TapelineError('USAGE', flagProblem(command, error as NodeJS.ErrnoException), { cause: error })
  }
}

/** What is wrong with the flags, in our words: Node's tell how to pass a misspelt flag as a word, and not what it may have meant. */
function flagProblem({ name, options }: Command, { code, message }: NodeJS.ErrnoException): string {
  const flag = /'((?:-\w, )?--?[^' ]*)/.exec(message)?.[1]?.replace(/^-\w, /, '')
  if (flag === undefined) return message
  if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
    const known = [...Object.keys(options), 'help'].map((each) => `--${each}`)
    return `${name} has no flag ${flag}${didYouMean(flag, known)}`
  }
  if (message.includes('does not take')) return `${flag} takes no value`
  return `${flag} takes a value; one that begins with - is written ${flag}=VALUE`
}

/** The text of a flag; undefined where it was not given. */
export function textFlag(flags: Flags, name: string): string | undefined {
  const value = flags[name]
  return typeof value === 'string' ? value : undefined
}

/** A flag as a whole number of at least `least`. Raises USAGE. */
export function countFlag(flags: Flags, name: string, least = 0): number | undefined {
  const text = textFlag(flags, name)
  if (text === undefined) return undefined
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < least) {
    throw new TapelineError(
      'USAGE',
      `--${name} takes a whole number of at least ${least}, not ${JSON.stringify(text)}`,
    )
  }
  return value
}

/** A flag that is a port. Raises USAGE. */
export function portFlag(flags: Flags, name = 'port'): number | undefined {
  const port = countFlag(flags, name)
  if (port === undefined || port <= 65_535) return port
  throw new TapelineError('USAGE', `--${name} takes at most 65535, not ${port}`)
}

/** The text of a flag that takes one of a few words. Raises USAGE. */
export function choiceFlag<Choice extends string>(
  flags: Flags,
  name: string,
  choices: readonly Choice[],
): Choice | undefined {
  const text = textFlag(flags, name)
  if (text === undefined) return undefined
  const choice = choices.find((each) => each === text)
  if (choice !== undefined) return choice
  throw new TapelineError('USAGE', `--${name} takes ${choices.join(' or ')}, not ${JSON.stringify(text)}`)
}

/** Raises USAGE where a command has fewer or more words than it takes. `shape` names them, such as `STREAM|TOPIC`. */
export function expectWords(words: readonly string[], shape: string, least: number, most = least): void {
  if (words.length < least) throw new TapelineError('USAGE', `${shape} is missing`)
  const extra = words[most]
  if (extra !== undefined) throw new TapelineError('USAGE', `${JSON.stringify(extra)} is one word too many`)
}
