import { type FieldError, TapelineError } from '../errors.ts'
import { excerpt } from './problem.ts'

/** No message of ours nests deeper than a few levels. */
const DEEPEST = 16

/** Strings and structure; everything between is numbers, literals and space. The text is known to be JSON. */
const TOKENS = /[[\]{},:]|"[^"\\]*(?:\\.[^"\\]*)*"/g

/** An object or array that the scan is inside of. */
interface Level {
  readonly path: string
  /** The keys seen, of an object; undefined for an array. */
  readonly keys?: Set<string>
  /** Key or index of the value that the scan is at. */
  at: string | number
  expectsKey: boolean
}

/**
 * Reads JSON from bytes, more strictly than JSON.parse: text must be valid UTF-8, a key may stand once in an object, must not
 * be `__proto__`, and nesting is limited. JSON.parse would take the last of two equal keys without a word.
 *
 * Raises BODY_NOT_JSON, or INPUT_INVALID naming the key.
 */
export function parseStrictJson(bytes: Uint8Array): unknown {
  const text = decode(bytes)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw notJson(excerpt(text), error instanceof Error ? error.message : String(error))
  }
  refuseTraps(text)
  return value
}

function decode(bytes: Uint8Array): string {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    if (text.trim() !== '') return text
  } catch (error) {
    throw notJson(`${bytes.length} bytes`, 'the text is not valid UTF-8', error)
  }
  throw notJson('', 'nothing was sent')
}

function notJson(value: string, message: string, cause?: unknown): TapelineError {
  const remedy = 'Send one JSON object such as {"channel":"trade","symbols":["BTC-*"]}.'
  return new TapelineError('BODY_NOT_JSON', `this is not JSON: ${message}`, {
    cause,
    fields: [{ field: '(body)', value, message, remedy }],
  })
}

function refuseTraps(text: string): void {
  const levels: Level[] = []
  for (const [token] of text.matchAll(TOKENS)) {
    const level = levels.at(-1)
    switch (token) {
      case '{':
      case '[':
        if (levels.length === DEEPEST)
          throw refused(pathOf(level), null, `is nested deeper than ${DEEPEST} levels`)
        levels.push(open(token, pathOf(level)))
        break
      case '}':
      case ']':
        levels.pop()
        break
      case ',':
        if (level !== undefined) next(level)
        break
      case ':':
        if (level !== undefined) level.expectsKey = false
        break
      default:
        if (level?.expectsKey) takeKey(level, JSON.parse(token) as string)
    }
  }
}

function open(token: '{' | '[', path: string): Level {
  return token === '{'
    ? { path, keys: new Set(), at: '', expectsKey: true }
    : { path, at: 0, expectsKey: false }
}

function next(level: Level): void {
  if (typeof level.at === 'number') level.at++
  else level.expectsKey = true
}

function takeKey(level: Level, key: string): void {
  level.at = key
  if (level.keys?.has(key)) throw refused(pathOf(level), null, 'stands twice in the same object')
  if (key === '__proto__') throw refused(pathOf(level), null, 'is not a known field')
  level.keys?.add(key)
}

function pathOf(level: Level | undefined): string {
  if (level === undefined) return ''
  return level.path === '' ? String(level.at) : `${level.path}.${level.at}`
}

function refused(path: string, value: unknown, message: string): TapelineError {
  const field: FieldError = { field: path || '(body)', value, message, remedy: 'Leave it out.' }
  return new TapelineError('INPUT_INVALID', `${excerpt(field.field)} ${message}`, { fields: [field] })
}
