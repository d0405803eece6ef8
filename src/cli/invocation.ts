import { type Flags, textFlag } from './command.ts'

/** How the user types our commands: in the checkout through npm, which brings the right Node. */
const TAPELINE = import.meta.url.endsWith('.ts') ? 'npm run -s tapeline --' : 'tapeline'

/** The name of the program before a command or a flag; not where `tapeline` is the name of something else. */
const COMMAND_IN_TEXT =
  /\btapeline(?= (COMMAND|--help|[a-z-]+ --help|actors|completion|dead-letters|demo|docs|doctor|export|graph|help|migrate|replay|simulate|sql|streams|tail|up|webhooks)\b)/g

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

/** A text with the commands in it as the user types them. */
export function inCheckout(text: string): string {
  return text.replace(COMMAND_IN_TEXT, TAPELINE)
}

/** A word as a shell takes it. */
function quoted(word: string): string {
  return PLAIN_WORD.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
