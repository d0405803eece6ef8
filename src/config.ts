import { existsSync, readFileSync } from 'node:fs'
import { parse as parseYaml, YAMLParseError } from 'yaml'
import type { z } from 'zod'
import type { SourceName } from './adapters/source/index.ts'
import { unknownVariables } from './config-environment.ts'
import { configSchema, environmentName, settingPaths } from './config-schema.ts'
import {
  codeOf,
  type Environment,
  invalid,
  NOT_SHOWN,
  parseApiKeys,
  parseHeaders,
  readAddress,
  readAlertWebhook,
  readPassword,
  readSourceKeys,
} from './config-secrets.ts'
import { misplaced } from './config-sections.ts'
import { entriesOf } from './config-values.ts'
import { issueWords } from './domain/issue-words.ts'
import { didYouMean } from './domain/near.ts'
import { parseStreamRequest } from './domain/stream-spec.ts'
import { type FieldError, TapelineError } from './errors.ts'

type ParsedConfig = z.output<typeof configSchema>

/** One source of the platform. */
export type SourceConfig = ParsedConfig['source']

/** How one service is reached: that of a source, or of its fallback. */
export type ReachConfig = Omit<SourceConfig, 'markets' | 'listEvery' | keyof AskedConfig | 'fallback'>

/** What a source is asked for, and with it its fallback. */
type AskedConfig = Pick<SourceConfig, 'channels' | 'bookDepth' | 'bookSnapshotEvery'>

export interface Config extends ParsedConfig {
  /** The keys of sources by their kinds, from the environment only. */
  readonly sourceKeys: Readonly<Partial<Record<SourceName, string>>>
  /** From TAPELINE_BROKER_PASSWORD or broker.passwordFile; undefined with the embedded broker. */
  readonly brokerPassword: string | undefined
  /**
   * From TAPELINE_STORE_PASSWORD, store.passwordFile, or a TAPELINE_STORE_URL that has one, in which `store.url` never has it;
   * undefined with the embedded store.
   */
  readonly storePassword: string | undefined
  /** The same of `store.queryUrl`, from TAPELINE_STORE_QUERY_PASSWORD, store.queryPasswordFile, or TAPELINE_STORE_QUERY_URL. */
  readonly queryPassword: string | undefined
  /** The address of a webhook that is told of alerts, from TAPELINE_ALERTS_WEBHOOK or alerts.webhookFile. It is a secret. */
  readonly alertWebhook: string | undefined
  /** From OTEL_EXPORTER_OTLP_HEADERS only, `name=value,name=value`: what a collector asks for. */
  readonly otlpHeaders: Readonly<Record<string, string>>
  /** From TAPELINE_API_KEYS only: `name:key,name:key`. */
  readonly apiKeys: readonly { readonly name: string; readonly key: string }[]
  /** Variables of the environment that look like ours and are none, a line each. */
  readonly unknownVariables: readonly string[]
}

/** Settings in the shape of the file, as flags and tests give them. */
export type ConfigInput = z.input<typeof configSchema>

interface ConfigSources {
  /** Path of the file; without one `tapeline.yaml` is read where it exists. */
  readonly file?: string | undefined
  readonly environment: Environment
  /** Over file and environment. */
  readonly flags?: ConfigInput
}

/** Reads the configuration: file, environment over it, flags over both. Raises CONFIG_INVALID naming each setting. */
export function loadConfig({ file, environment, flags = {} }: ConfigSources): Config {
  const under = merge(readFile(file), fromEnvironment(environment))
  checkSources(under)
  // A flag that names a source means that one alone.
  const isNamed = Object.values(flags.source ?? {}).some((value) => value !== undefined)
  const settings = merge(isNamed ? { ...under, sources: [] } : under, flags as Settings)
  const parsed = configSchema.safeParse(settings, { error: issueWords })
  if (!parsed.success) throw invalid(parsed.error.issues.flatMap((issue) => toFields(issue, settings)))
  for (const [name, request] of Object.entries(parsed.data.streams.standing)) checkStanding(name, request)
  const { broker, store } = parsed.data
  const { url, password } = readAddress('url', store.url, environment)
  const queries =
    store.queryUrl === undefined ? undefined : readAddress('queryUrl', store.queryUrl, environment)
  const isKafka = broker.kind === 'kafka'
  const isTimescale = store.kind === 'timescale'
  return {
    ...parsed.data,
    store: { ...store, url, queryUrl: queries?.url },
    sourceKeys: readSourceKeys(environment),
    brokerPassword: isKafka
      ? readPassword('broker', 'passwordFile', broker.passwordFile, environment)
      : undefined,
    storePassword: isTimescale
      ? (readPassword('store', 'passwordFile', store.passwordFile, environment) ?? password)
      : undefined,
    queryPassword:
      isTimescale && queries !== undefined
        ? (readPassword('store', 'queryPasswordFile', store.queryPasswordFile, environment) ??
          queries.password)
        : undefined,
    alertWebhook: readAlertWebhook(parsed.data.alerts.webhookFile, environment),
    otlpHeaders: parseHeaders(environment['OTEL_EXPORTER_OTLP_HEADERS']),
    apiKeys: parseApiKeys(environment['TAPELINE_API_KEYS']),
    unknownVariables: unknownVariables(environment),
  }
}

/** The sources of a platform: those of `sources`, or the one of `source`. */
export function sourcesOf({ source, sources }: Pick<Config, 'source' | 'sources'>): readonly SourceConfig[] {
  return sources.length > 0 ? sources : [source]
}

/** The configuration with one source alone, by its kind, with the settings that it has for it; `markets` in place of its own. Raises CONFIG_INVALID. */
export function withOneSource(
  config: Config,
  wanted: { readonly kind: string; readonly markets?: readonly string[] },
): Config {
  const settings = { sources: [wanted] }
  const parsed = configSchema.pick({ sources: true }).safeParse(settings, { error: issueWords })
  if (!parsed.success) throw invalid(parsed.error.issues.flatMap((issue) => toFields(issue, settings)))
  const sources = parsed.data.sources.map((named) => {
    const own = sourcesOf(config).find(({ kind }) => kind === named.kind)
    if (own === undefined) return named
    return wanted.markets === undefined ? own : { ...own, markets: named.markets }
  })
  return { ...config, sources }
}

/** What no log, error, alert or answer may repeat. */
export function secretsOf(config: Config): readonly (string | undefined)[] {
  const { sourceKeys, apiKeys, otlpHeaders, brokerPassword, storePassword, queryPassword, alertWebhook } =
    config
  const webhook = alertWebhook === undefined ? undefined : new URL(alertWebhook)
  return [
    ...Object.values(sourceKeys),
    ...apiKeys.map(({ key }) => key),
    ...Object.values(otlpHeaders),
    ...[brokerPassword, storePassword, queryPassword, alertWebhook],
    // Its host is none, and stands by itself in errors of the network.
    webhook && `${webhook.pathname}${webhook.search}`.slice(1),
  ]
}

function checkSources(settings: Settings): void {
  if (settings['source'] === undefined || settings['sources'] === undefined) return
  const remedy = 'Move the settings of source into an entry of sources.'
  const message = 'cannot be set beside source: the platform would not know which of them you mean'
  throw invalid([{ field: 'sources', value: NOT_SHOWN, message, remedy }])
}

interface Settings {
  [key: string]: unknown
}

function fromEnvironment(environment: Environment): Settings {
  const otlp = environment['OTEL_EXPORTER_OTLP_ENDPOINT']?.trim()
  const settings: Settings = otlp ? { telemetry: { otlp } } : {}
  for (const path of settingPaths()) {
    const value = environment[environmentName(path)]?.trim()
    if (!value) continue
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
    const present = result[key]
    if (!isSettings(value)) result[key] = value
    else if (isSettings(present)) result[key] = merge(present, value)
    // What stands where settings by name belong is refused, and not lost under a flag.
    else if (present === undefined) result[key] = value
  }
  return result
}

function isSettings(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const DEFAULT_FILE = 'tapeline.yaml'

/** The file that the configuration is read from; undefined where there is none. */
export function configFile(named: string | undefined): string | undefined {
  return named ?? (existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined)
}

function readFile(file: string | undefined): Settings {
  const path = configFile(file)
  if (path === undefined) return {}
  try {
    const settings: unknown = parseYaml(readFileSync(path, 'utf8'), { logLevel: 'error' }) ?? {}
    if (isSettings(settings)) return settings
  } catch (error) {
    throw new TapelineError('CONFIG_INVALID', `${path} cannot be read: ${reasonOf(error)}`)
  }
  throw new TapelineError('CONFIG_INVALID', `${path} does not hold settings by name`)
}

/** What is wrong with a file, without a word of it: the parser's own messages repeat pieces, and so may its stack. */
function reasonOf(error: unknown): string {
  if (error instanceof ReferenceError) return 'a * begins an alias that has no anchor: quote such a value'
  if (!(error instanceof YAMLParseError)) return codeOf(error)
  const [place] = error.linePos ?? []
  const where = place === undefined ? '' : `line ${place.line}, column ${place.col}: `
  return `${where}not YAML (${error.code.toLowerCase().replaceAll('_', ' ')})`
}

function checkStanding(name: string, request: unknown): void {
  try {
    parseStreamRequest(request, Date.now())
  } catch (error) {
    if (!(error instanceof TapelineError)) throw error
    throw invalid(
      error.fields.map((field) => ({ ...field, field: `streams.standing.${name}.${field.field}` })),
    )
  }
}

function toFields(issue: z.core.$ZodIssue, settings: Settings): FieldError[] {
  const path = issue.path.map(String)
  if (issue.code === 'unrecognized_keys') {
    const names = namesBelow(path)
    const known = 'docs/configuration.md lists all settings.'
    return issue.keys.map((key) => ({
      field: [...path, key].join('.'),
      value: key,
      message: `is not a setting${didYouMean(key, names)}`,
      remedy: known,
    }))
  }
  const field = path.join('.')
  const given = valueAt(settings, path)
  if (issue.code === 'invalid_type' && given !== undefined && belongsElsewhere(path, issue.expected))
    return [{ field, value: NOT_SHOWN, ...misplaced(path, given, namesBelow(path)) }]
  const setting = settingPaths().find((known) => known.every((key, i) => key === path[i]))
  // Each of several sources has the settings of the one, and so has a fallback.
  const isOfSource = path[0] === 'source' || path[0] === 'sources'
  const mayHoldSecret = isOfSource ? `source.${path.at(-1)}` : (setting?.join('.') ?? '')
  const isAddress = isOfSource && typeof given === 'string' && /[@?]|:\/\//.test(given)
  const value = isAddress || MAY_HOLD_SECRETS.includes(mayHoldSecret) ? NOT_SHOWN : given
  const variable = setting && setting.join() !== 'streams,standing' ? `, or ${environmentName(setting)}` : ''
  return [{ field, value, message: issue.message, remedy: `Correct ${field}${variable}.` }]
}

/** Whether settings by name, or several sources, belong there. */
function belongsElsewhere(path: readonly string[], expected: string): boolean {
  return ['object', 'record'].includes(expected) || path.join() === 'sources'
}

/** The names of the settings that belong there. */
function namesBelow(path: readonly string[]): string[] {
  const below = settingPaths().filter((known) => path.every((key, i) => key === known[i]))
  return [...new Set(below.flatMap((known) => known[path.length] ?? []))]
}

/** What stands at a path; a list is taken apart as the schema does it. */
function valueAt(settings: Settings, path: readonly string[]): unknown {
  return path.reduce<unknown>((at, key) => {
    // A source may be its kind alone.
    if (typeof at === 'string' && key === 'kind') return at
    const inner = entriesOf(at)
    return typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined
  }, settings)
}

/** Settings of free text, in which a person may have put a secret by mistake. */
const MAY_HOLD_SECRETS = [
  'alerts.alertmanager',
  'source.url',
  'source.restUrl',
  'broker.bootstrap',
  'broker.username',
  'broker.passwordFile',
  'store.url',
  'store.queryUrl',
  'store.passwordFile',
  'store.queryPasswordFile',
  'telemetry.otlp',
]
