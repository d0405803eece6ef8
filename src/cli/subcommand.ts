import { didYouMean } from '../domain/near.ts'
import { TapelineError } from '../errors.ts'
import type { Flags, Terminal } from './command.ts'

/** What a word such as `list` or `create` stands for; `words` are those after it. */
export type Subcommand = (flags: Flags, words: readonly string[], terminal: Terminal) => Promise<number>

/** Runs the subcommand that the first word names; `fallback` where there is no word. Raises USAGE. */
export function runSubcommand(
  table: Readonly<Record<string, Subcommand>>,
  fallback: string,
  flags: Flags,
  words: readonly string[],
  terminal: Terminal,
): Promise<number> {
  const [name = fallback, ...rest] = words
  const run = Object.hasOwn(table, name) ? table[name] : undefined
  if (run) return run(flags, rest, terminal)
  const known = Object.keys(table)
  throw new TapelineError(
    'USAGE',
    `${JSON.stringify(name)} is none of ${known.join(', ')}${didYouMean(name, known)}`,
  )
}
