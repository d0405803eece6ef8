import type { Config, ConfigInput } from '../config.ts'
import { listenHost } from '../config-network.ts'
import { ROLES } from '../config-schema.ts'
import { issueWords } from '../domain/issue-words.ts'
import { TapelineError } from '../errors.ts'
import type { Log } from '../ports/log.ts'
import {
  chooseLogFormat,
  createLog,
  LOG_FORMATS,
  LOG_LEVELS,
  type LogLevel,
  logFormat,
} from '../telemetry/log.ts'
import { choiceFlag, type Flags, portFlag, textFlag } from './command.ts'

/** Flags of every command that runs a platform. */
export const PLATFORM_OPTIONS = {
  data: { type: 'string' },
  port: { type: 'string' },
  host: { type: 'string' },
  trace: { type: 'string' },
  'log-level': { type: 'string' },
  log: { type: 'string' },
} as const

/** What those of them mean that every such command takes alike. */
export const LOG_HELP = `  --trace FILE    write one JSON line for each transition of a machine
  --log-level L   debug, info, warn, error or silent (default: info)
  --log FORMAT    pretty or json (default: pretty on a terminal, json elsewhere)`

/** Flags of commands on a platform as the configuration has it: which roles it has, and which servers and source. */
export const SERVER_OPTIONS = {
  config: { type: 'string' },
  roles: { type: 'string' },
  kafka: { type: 'string' },
  database: { type: 'string' },
  simulator: { type: 'string' },
  live: { type: 'boolean' },
} as const

/** The settings that these flags stand for, over the file and the environment. Raises USAGE: what was typed is named, not the settings. */
export function platformSettings(flags: Flags): ConfigInput {
  const port = portFlag(flags)
  const data = textFlag(flags, 'data')
  const host = hostFlag(flags)
  const level = choiceFlag(flags, 'log-level', LOG_LEVELS)
  const format = choiceFlag(flags, 'log', LOG_FORMATS)
  // A process has one of the two servers: that of the gateway, or without this role the one for operations.
  const address = { ...(port === undefined ? {} : { port }), ...(host === undefined ? {} : { host }) }
  return {
    ...(data === undefined ? {} : { data }),
    gateway: address,
    operations: address,
    log: { ...(level === undefined ? {} : { level }), ...(format === undefined ? {} : { format }) },
  }
}

function hostFlag(flags: Flags): string | undefined {
  const host = textFlag(flags, 'host')
  if (host === undefined) return undefined
  const [issue] = listenHost.safeParse(host, { error: issueWords }).error?.issues ?? []
  if (issue === undefined) return host
  throw new TapelineError('USAGE', `--host ${JSON.stringify(host)} ${issue.message}`)
}

/**
 * What demo and replay set over everything else: the engines of the data folder, and all roles. A configuration that names servers
 * is for the platform there, into which recorded or simulated trades must never get by accident.
 */
export const WITHIN_THIS_PROCESS = {
  roles: [...ROLES],
  broker: { kind: 'embedded' },
  store: { kind: 'embedded' },
} as const satisfies ConfigInput

/**
 * Has the lines of a command that runs a platform written as its flag or the environment say, before its configuration is read: what is wrong with
 * that is a line too.
 */
export function chooseFormatEarly(flags: Flags): void {
  const given = textFlag(flags, 'log') ?? process.env['TAPELINE_LOG_FORMAT']
  chooseLogFormat(LOG_FORMATS.find((format) => format === given))
}

/** The log of a command that runs a platform: as it was configured, else readable on a terminal and JSON lines otherwise. */
export function openPlatformLog({ level, format }: Config['log']): Log {
  chooseLogFormat(format)
  return createLog({ level, pretty: logFormat() === 'pretty' })
}

/** The log of a command that somebody waits for: always readable, as all that it notes on standard error. */
export function openLog(level: LogLevel): Log {
  // What a platform starts is no news to somebody who waits for a table.
  return createLog({ level: level === 'info' ? 'warn' : level, pretty: true })
}
