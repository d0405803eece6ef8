import { stdSerializers } from 'pino'

const CENSORED = '[redacted]'

/** Field names whose values are secrets wherever they stand, compared without case, `-` and `_`. */
const SECRET_FIELDS = new Set([
  'key',
  'keys',
  'apikey',
  'apikeys',
  'xapikey',
  'authorization',
  'password',
  'brokerpassword',
  'storepassword',
  'querypassword',
  'sourcekeys',
  'passphrase',
  'secret',
  'token',
])

/** Deeper values than this are not logged: nothing of ours nests so far, and a cycle must end. */
const DEEPEST = 6

/**
 * A copy of what is to be logged: the values of secret fields are replaced at any depth, and errors become objects with
 * type, message, stack and their own fields, wherever they stand.
 */
export function redactFields(fields: object): Record<string, unknown> {
  return redactEntries(fields, 0)
}

function redactEntries(fields: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      isSecret(name) ? CENSORED : redactValue(value, depth + 1),
    ]),
  )
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Date) return value
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  if (depth > DEEPEST) return '[deeper]'
  if (Array.isArray(value)) return value.map((entry) => redactValue(entry, depth + 1))
  return redactEntries(value instanceof Error ? stdSerializers.err(value) : value, depth)
}

function isSecret(name: string): boolean {
  return SECRET_FIELDS.has(name.toLowerCase().replace(/[-_]/g, ''))
}
