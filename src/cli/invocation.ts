import { type Flags, textFlag } from './command.ts'

/** How the user types our commands: in the checkout through npm, which brings the right Node. */
const TAPELINE = import.meta.url.endsWith('.ts') ? 'npm run -s tapeline --' : 'tapeline'

const PLAIN_WORD = /^[\w@%+=:,./-]+$/

/** A command to type, with the flags that led to this platform. */
export function invocation(words: readonly string[], flags: Flags = {}): string {
  const data = textFlag(flags, 'data')
  const api = textFlag(flags, 'api')
  const config = textFlag(flags, 'config')
  const target =
    api !== undefined
      ? ['--api', api]
      : [
          ...(config === undefined ? [] : ['--config', config]),
          ...(data === undefined ? [] : ['--data', data]),
        ]
  return [TAPELINE, ...[...words, ...target].map(quoted)].join(' ')
}

/** A word as a shell takes it. */
function quoted(word: string): string {
  return PLAIN_WORD.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
