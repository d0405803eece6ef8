import { TapelineError } from '../errors.ts'
import { type Flags, textFlag } from './command.ts'

/** The flags of a request whose text is the value of its field, and those that list values. */
const TEXT_FLAGS = ['channel', 'where', 'every', 'interval', 'lateness', 'from', 'ttl'] as const
const LIST_FLAGS = ['symbols', 'exchanges', 'fields'] as const
/** The flags that a request for a stream is made of. */
export const REQUEST_FLAGS = [...TEXT_FLAGS, ...LIST_FLAGS, 'depth', 'empty'] as const

/** Their options. */
export const REQUEST_OPTIONS = {
  ...Object.fromEntries([...TEXT_FLAGS, ...LIST_FLAGS].map((name) => [name, { type: 'string' } as const])),
  depth: { type: 'string' },
  empty: { type: 'boolean' },
} as const

/** The body of the request: the JSON of the word as it is, or what the flags say. The platform checks it. Raises USAGE. */
export function requestOf(flags: Flags, word: string | undefined): unknown {
  const given = REQUEST_FLAGS.filter((name) => flags[name] !== undefined)
  if (word !== undefined) {
    if (given.length > 0) throw new TapelineError('USAGE', `--${given[0]} stands beside a JSON body`)
    return parseBody(word)
  }
  if (given.length === 0)
    throw new TapelineError('USAGE', 'what is asked for is missing, as in --channel trade --symbols BTC-*')
  const fieldOf = <T>(name: string, parse: (text: string) => T): [string, T][] => {
    const text = textFlag(flags, name)
    return text === undefined ? [] : [[name, parse(text)]]
  }
  return {
    ...Object.fromEntries(TEXT_FLAGS.flatMap((name) => fieldOf(name, (text) => text))),
    ...Object.fromEntries(LIST_FLAGS.flatMap((name) => fieldOf(name, listOf))),
    ...Object.fromEntries(fieldOf('depth', (text) => (/^\d+$/.test(text) ? Number(text) : text))),
    ...(flags['empty'] === true && { empty: true }),
  }
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new TapelineError('USAGE', `the body is not JSON: ${(error as Error).message}`, { cause: error })
  }
}

function listOf(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean)
}
