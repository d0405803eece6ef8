import { readFileSync } from 'node:fs'
import { SOURCE_NAMES, SOURCES, type SourceName } from './adapters/source/index.ts'
import { type DatabaseAddress, splitAddress } from './config-address.ts'
import { environmentName } from './config-schema.ts'
import { type FieldError, TapelineError } from './errors.ts'

/** What the environment, or a file that a setting names, gives and no file of settings has: keys, passwords, and addresses with either. */

/** The variables of a process, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Instead of a value that may have a secret in it. */
export const NOT_SHOWN = '(not shown)'

/**
 * The address of a database without its password, and the password, which only the environment may have in an address. Raises
 * CONFIG_INVALID.
 */
export function readAddress(
  field: 'url' | 'queryUrl',
  text: string,
  environment: Environment,
): DatabaseAddress {
  const address = splitAddress(text)
  const name = `store.${field}`
  if ('message' in address) throw invalid([{ field: name, value: NOT_SHOWN, ...address }])
  if (address.password === undefined || text === environment[environmentName(['store', field])]?.trim())
    return address
  const [variable, file] =
    field === 'url'
      ? ['TAPELINE_STORE_PASSWORD', 'store.passwordFile']
      : ['TAPELINE_STORE_QUERY_PASSWORD', 'store.queryPasswordFile']
  const remedy = `Take the password out of the address; set ${variable} or ${file}.`
  throw invalid([{ field: name, value: NOT_SHOWN, message: 'has a password', remedy }])
}

/** Raises CONFIG_INVALID where it is no address; it is never shown. */
export function readAlertWebhook(file: string | undefined, environment: Environment): string | undefined {
  const address = readPassword('alerts', 'webhookFile', file, environment)?.trim()
  if (address === undefined || (/^https?:\/\//.test(address) && URL.canParse(address))) return address
  const [field, message] = ['TAPELINE_ALERTS_WEBHOOK', 'is not an address that begins with https://']
  throw invalid([{ field, value: NOT_SHOWN, message, remedy: 'Set it to the address of the webhook alone.' }])
}

/** A password, from the environment, else from its file; a line break at its end is not a part of it. Raises CONFIG_INVALID. */
export function readPassword(
  section: 'broker' | 'store' | 'alerts',
  fileSetting: 'passwordFile' | 'queryPasswordFile' | 'webhookFile',
  file: string | undefined,
  environment: Environment,
): string | undefined {
  const setting = [section, fileSetting]
  const variable = environmentName(setting).replace(/_FILE$/, '')
  const given = environment[variable]?.replace(LINE_BREAK, '')
  if (given || file === undefined) return given || undefined
  try {
    return readFileSync(file, 'utf8').replace(LINE_BREAK, '')
  } catch (error) {
    const field = setting.join('.')
    const message = `cannot be read (${codeOf(error)})`
    const remedy = `Correct ${field}, or set ${variable}.`
    throw invalid([{ field, value: shownPath(file), message, remedy }])
  }
}

const LINE_BREAK = /\r?\n$/

/** Somebody may have written the password itself where its file belongs. */
function shownPath(file: string): string {
  return /^(\.{0,2}|~|[A-Za-z]:)[/\\]/.test(file) ? file : NOT_SHOWN
}

/** The code of an error of the system, for a message. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason'
}

/** The keys that are set, without blanks round them; with one inside it is none. Raises CONFIG_INVALID. */
export function readSourceKeys(environment: Environment): Readonly<Partial<Record<SourceName, string>>> {
  const keys: Partial<Record<SourceName, string>> = {}
  for (const name of SOURCE_NAMES) {
    const field = SOURCES[name].key?.variable
    const key = field && environment[field]?.trim()
    if (!field || !key) continue
    const remedy = 'Set it to the key alone.'
    const message = 'has blanks or line breaks inside'
    if (/\s/.test(key)) throw invalid([{ field, value: NOT_SHOWN, message, remedy }])
    keys[name] = key
  }
  return keys
}

/** `name=value,name=value`. Raises CONFIG_INVALID. Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter */
export function parseHeaders(text = ''): Readonly<Record<string, string>> {
  const pairs = text.split(',').filter((pair) => pair.trim() !== '')
  const entries = pairs.map((pair) => {
    const [, name, value = ''] = /^\s*([\w-]+)=(.*?)\s*$/.exec(pair) ?? []
    if (name !== undefined && /^[\x21-\x7e ]+$/.test(value)) return [name, decoded(value)] as const
    const message = 'is not a list of NAME=VALUE'
    const remedy = 'Write name=value,name=value.'
    throw invalid([{ field: 'OTEL_EXPORTER_OTLP_HEADERS', value: '(secret)', message, remedy }])
  })
  return Object.fromEntries(entries)
}

/** Values may be encoded as in addresses. */
function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

/** A key of the environment: whose, and its text. */
interface ApiKey {
  readonly name: string
  readonly key: string
}

/** `name:key,name:key`. Raises CONFIG_INVALID. */
export function parseApiKeys(text: string | undefined): readonly ApiKey[] {
  if (!text?.trim()) return []
  const pairs = text.split(',').map((pair) => pair.trim())
  // A comma too many is no key; nothing but commas is no list.
  const given = pairs.some(Boolean) ? pairs.filter(Boolean) : pairs
  return given.map((pair) => {
    const [, name, key] = /^([a-z][a-z0-9-]{0,31}):(\S{8,})$/.exec(pair) ?? []
    if (name && key) return { name, key }
    throw invalid([
      {
        field: 'TAPELINE_API_KEYS',
        value: '(secret)',
        message: 'is not a list of NAME:KEY',
        remedy: 'Write name:key,name:key; a name has lower-case letters, a key at least 8 characters.',
      },
    ])
  })
}

/** CONFIG_INVALID, which names each setting with its value. */
export function invalid(fields: readonly FieldError[]): TapelineError {
  const lines = fields.map(({ field, value, message }) => `${field} = ${JSON.stringify(value)}: ${message}`)
  return new TapelineError('CONFIG_INVALID', lines.join('; '), { fields })
}
