import { existsSync, readFileSync } from 'node:fs'
import { parse as parseYaml } from 'yaml'
import type { z } from 'zod'
import { configSchema, environmentName, settingPaths } from './config-schema.ts'
import { parseStreamRequest } from './domain/stream-spec.ts'
import { type FieldError, TapelineError } from './errors.ts'

type ParsedConfig = z.output<typeof configSchema>

export interface Config extends ParsedConfig {
  /** From CRYPTOCOMPARE_API_KEY only. */
  readonly cryptoCompareKey: string | undefined
  /** From TAPELINE_BROKER_PASSWORD or broker.passwordFile; undefined with the embedded broker. */
  readonly brokerPassword: string | undefined
  /**
   * From TAPELINE_STORE_PASSWORD, store.passwordFile, or a TAPELINE_STORE_URL that has one, in which `store.url` never has it;
   * undefined with the embedded store.
   */
  readonly storePassword: string | undefined
  /** From TAPELINE_API_KEYS only: `name:key,name:key`. */
  readonly apiKeys: readonly { readonly name: string; readonly key: string }[]
}

/** Settings in the shape of the file, as flags and tests give them. */
export type ConfigInput = z.input<typeof configSchema>

interface ConfigSources {
  /** Path of the file; without one `tapeline.yaml` is read where it exists. */
  readonly file?: string | undefined
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Over file and environment. */
  readonly flags?: ConfigInput
}

/** Reads the configuration: file, environment over it, flags over both. Raises CONFIG_INVALID naming each setting. */
export function loadConfig({ file, environment, flags = {} }: ConfigSources): Config {
  const settings = merge(merge(readFile(file), fromEnvironment(environment)), flags as Settings)
  const parsed = configSchema.safeParse(settings)
  if (!parsed.success) throw invalid(parsed.error.issues.flatMap((issue) => toFields(issue, settings)))
  for (const [name, request] of Object.entries(parsed.data.streams.standing)) checkStanding(name, request)
  const { broker, store } = parsed.data
  const { url, password } = splitUrl(store.url)
  // Secrets come from the environment or from files: neither a configuration file nor a flag may have one.
  if (password !== undefined && store.url !== environment['TAPELINE_STORE_URL']) throw passwordInUrl()
  const isKafka = broker.kind === 'kafka'
  const isTimescale = store.kind === 'timescale'
  return {
    ...parsed.data,
    store: { ...store, url },
    cryptoCompareKey: environment['CRYPTOCOMPARE_API_KEY'] || undefined,
    brokerPassword: isKafka ? readPassword('broker', broker.passwordFile, environment) : undefined,
    storePassword: isTimescale
      ? (readPassword('store', store.passwordFile, environment) ?? password)
      : undefined,
    apiKeys: parseApiKeys(environment['TAPELINE_API_KEYS']),
  }
}

interface Settings {
  [key: string]: unknown
}

function fromEnvironment(environment: ConfigSources['environment']): Settings {
  const settings: Settings = {}
  for (const path of settingPaths()) {
    const value = environment[environmentName(path)]
    if (value === undefined || value === '') continue
    const [first = '', second] = path
    if (second === undefined) settings[first] = value
    else settings[first] = { ...(settings[first] as Settings | undefined), [second]: value }
  }
  return settings
}

function merge(under: Settings, over: Settings): Settings {
  const result = { ...under }
  for (const [key, value] of Object.entries(over)) {
    if (value === undefined) continue
    result[key] = isSettings(value) && isSettings(result[key]) ? merge(result[key], value) : value
  }
  return result
}

function isSettings(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const DEFAULT_FILE = 'tapeline.yaml'

function readFile(file: string | undefined): Settings {
  if (file === undefined && !existsSync(DEFAULT_FILE)) return {}
  const path = file ?? DEFAULT_FILE
  try {
    const settings: unknown = parseYaml(readFileSync(path, 'utf8')) ?? {}
    if (isSettings(settings)) return settings
  } catch (error) {
    // The lines behind the first one repeat a piece of the file.
    const [reason = ''] = (error as Error).message.split('\n')
    throw new TapelineError('CONFIG_INVALID', `${path} cannot be read: ${reason}`, {
      cause: error,
    })
  }
  throw new TapelineError('CONFIG_INVALID', `${path} does not hold settings by name`)
}

function checkStanding(name: string, request: unknown): void {
  try {
    parseStreamRequest(request)
  } catch (error) {
    if (!(error instanceof TapelineError)) throw error
    throw invalid(
      error.fields.map((field) => ({ ...field, field: `streams.standing.${name}.${field.field}` })),
    )
  }
}

/** What other programs take behind the `?` of an address, and which setting of ours decides it. */
const OWN_SETTINGS: Readonly<Record<string, string>> = {
  password: 'TAPELINE_STORE_PASSWORD or store.passwordFile',
  sslmode: 'store.tls',
  ssl: 'store.tls',
  sslrootcert: 'store.tlsCa',
  sslcert: 'store.tls and store.tlsCa',
  sslkey: 'store.tls and store.tlsCa',
}

/** The address of the database without its password, and the password. Raises CONFIG_INVALID. */
function splitUrl(text: string): { readonly url: string; readonly password: string | undefined } {
  const refuse = (message: string, remedy: string): TapelineError =>
    invalid([{ field: 'store.url', value: NOT_SHOWN, message, remedy }])
  const url = URL.parse(text)
  if (url === null)
    throw refuse('is not an address', 'Write store.url as postgres://USER@HOST:PORT/DATABASE.')
  const [parameter] = url.searchParams.keys()
  if (parameter !== undefined) {
    // Passed over in silence, sslmode=require would leave a connection open that is believed to be encrypted.
    const setting = OWN_SETTINGS[parameter]
    const instead = setting === undefined ? '' : `, and set ${setting}`
    throw refuse(`has ${parameter} behind its ?`, `Take it out of the address${instead}.`)
  }
  const encoded = url.password
  url.password = ''
  try {
    return { url: url.href, password: encoded === '' ? undefined : decodeURIComponent(encoded) }
  } catch {
    throw refuse('has a password with a % that encodes nothing', 'Write a % in a password as %25.')
  }
}

function passwordInUrl(): TapelineError {
  const remedy = 'Take the password out of the address; set TAPELINE_STORE_PASSWORD or store.passwordFile.'
  return invalid([{ field: 'store.url', value: NOT_SHOWN, message: 'has a password', remedy }])
}

/** The password of a server, from the environment, else from its file. Raises CONFIG_INVALID. */
function readPassword(
  section: 'broker' | 'store',
  file: string | undefined,
  environment: ConfigSources['environment'],
): string | undefined {
  const given = environment[`TAPELINE_${section.toUpperCase()}_PASSWORD`]
  if (given || file === undefined) return given || undefined
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    const message = `cannot be read: ${(error as Error).message}`
    const remedy = `Correct ${section}.passwordFile, or set TAPELINE_${section.toUpperCase()}_PASSWORD.`
    throw invalid([{ field: `${section}.passwordFile`, value: file, message, remedy }])
  }
}

function parseApiKeys(text: string | undefined): Config['apiKeys'] {
  if (!text) return []
  return text.split(',').map((pair) => {
    const [, name, key] = /^([a-z][a-z0-9-]{0,31}):(\S{8,})$/.exec(pair.trim()) ?? []
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

function toFields(issue: z.core.$ZodIssue, settings: Settings): FieldError[] {
  const path = issue.path.map(String)
  if (issue.code === 'unrecognized_keys') {
    const known = 'docs/configuration.md lists all settings.'
    return issue.keys.map((key) => ({
      field: [...path, key].join('.'),
      value: key,
      message: 'is not a setting',
      remedy: known,
    }))
  }
  const field = path.join('.')
  const given = path.reduce<unknown>((at, key) => (isSettings(at) ? at[key] : undefined), settings)
  const value = field === 'store.url' ? NOT_SHOWN : given
  const setting = settingPaths().find((known) => known.every((key, i) => key === path[i]))
  const variable = setting && setting.join() !== 'streams,standing' ? `, or ${environmentName(setting)}` : ''
  return [{ field, value, message: issue.message, remedy: `Correct ${field}${variable}.` }]
}

/** Instead of a value that may have a secret in it. */
const NOT_SHOWN = '(not shown)'

function invalid(fields: readonly FieldError[]): TapelineError {
  const lines = fields.map(({ field, value, message }) => `${field} = ${JSON.stringify(value)}: ${message}`)
  return new TapelineError('CONFIG_INVALID', lines.join('; '), { fields })
}
