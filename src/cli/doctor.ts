import { orAfter } from '../async/deadline.ts'
import { type Config, configFile, loadConfig } from '../config.ts'
import { TapelineError, toTapelineError } from '../errors.ts'
import { healthSchema } from '../gateway/schemas/operations.ts'
import type { Log } from '../ports/log.ts'
import { needsStore, refuseLonelyRoles, usesFolder } from '../topology/engines/roles.ts'
import { type RunFile, readRunFile } from '../topology/run-file.ts'
import { connectTo } from './api-client.ts'
import { type Command, expectWords, type Flags, type Terminal, textFlag } from './command.ts'
import { checkCertificate } from './doctor/certificate.ts'
import { checkEmbedded } from './doctor/engines.ts'
import { type Finding, fail, failure, ok, warn } from './doctor/finding.ts'
import { checkKafka } from './doctor/kafka.ts'
import { checkFolder, checkLock, checkNode, checkPort } from './doctor/machine.ts'
import { checkPlatform } from './doctor/platform.ts'
import { checkSource } from './doctor/source.ts'
import { checkTimescale } from './doctor/timescale.ts'
import { openLog, platformSettings, SERVER_OPTIONS } from './platform-flags.ts'
import { plainText } from './table.ts'
import { processSettings, sourceSettings } from './up.ts'

const HELP = `
Usage: tapeline doctor [--json] [--config FILE] [--roles ROLE,...] [--kafka HOST:PORT,...]
                       [--database URL] [--data DIR] [--port P] [--host H] [--simulator URL | --live]

Checks what a platform needs and says what to do where something is wrong: Node, the configuration, the
data folder, broker, database, source, port, and the platform that runs on the folder. Of servers: whether
they answer, their version, what the user may do there, the settings of topics, TimescaleDB and its licence,
and the clock. Takes the flags of up, since they decide what is needed. Ends within 10 s; exit code 1 if any
check fails.

  --json   print {"ok": ..., "findings": [{"check", "status": "ok"|"warn"|"fail", "detail", "remedy"?}]}

Examples:
  tapeline doctor
  tapeline doctor --live
  tapeline doctor --config production.yaml
  tapeline doctor --simulator http://127.0.0.1:8089 --json
`

/** All checks together; each connection has a shorter time of its own. */
const ALL_MS = 9_000
const ANSWER_MS = 2_000

const MARKS = { ok: 'ok  ', warn: 'WARN', fail: 'FAIL' } as const

export const command: Command = {
  name: 'doctor',
  help: HELP,
  options: {
    data: { type: 'string' },
    port: { type: 'string' },
    host: { type: 'string' },
    ...SERVER_OPTIONS,
    json: { type: 'boolean' },
  },
  async run(flags, words, terminal) {
    expectWords(words, '', 0)
    const findings = await examine(flags, orAfter(terminal.signal, ALL_MS))
    const isWell = findings.every(({ status }) => status !== 'fail')
    if (flags['json']) terminal.print(JSON.stringify({ ok: isWell, findings }))
    else print(findings, terminal)
    return isWell ? 0 : 1
  },
}

async function examine(flags: Flags, signal: AbortSignal): Promise<Finding[]> {
  const config = readConfig(flags)
  if (config instanceof TapelineError)
    return [checkNode(), ...configFindings(config, configFile(textFlag(flags, 'config')))]
  const run = await findRun(config, signal)
  const client = run && connectTo(run)
  const isSourceNamed = flags['live'] === true || flags['simulator'] !== undefined
  const lock = usesFolder(config) ? checkLock(config, run) : undefined
  const log = openLog('error')
  const [folder, engines, source, port, platform] = await Promise.all([
    usesFolder(config) ? checkFolder(config).catch((error: unknown) => [failure('data folder', error)]) : [],
    checkEngines(config, lock, run, log, signal),
    // A platform that runs, starts or stops was given its source by its own flags, such as a demo: it says itself how that is.
    config.roles.includes('producer') &&
    (isSourceNamed || !(run?.roles.includes('producer') ?? lock?.status === 'warn'))
      ? checkSource(config, signal)
      : [],
    checkPort(config, run),
    client ? checkPlatform(client, { hasGateway: run.roles.includes('gateway') }, signal) : [],
  ])
  const file = configFile(textFlag(flags, 'config'))
  return [
    checkNode(),
    ok('configuration', file === undefined ? 'valid: no file, only environment and flags' : `valid: ${file}`),
    ...checkVariables(config),
    ...folder,
    ...engines,
    ...source,
    port,
    ...checkCertificate(config, Date.now()),
    ...platform,
  ]
}

function checkVariables({ unknownVariables }: Config): Finding[] {
  if (unknownVariables.length === 0) return []
  const remedy = 'Correct the names, or take the variables out: docs/configuration.md has those that count.'
  return [warn('environment', `no settings: ${unknownVariables.join(', ')}`, remedy)]
}

/** The lock of the data folder where an engine is in it, then broker and store, whichever kind they are. */
async function checkEngines(
  config: Config,
  lock: Finding | undefined,
  run: RunFile | undefined,
  log: Log,
  signal: AbortSignal,
): Promise<Finding[]> {
  const isKafka = config.broker.kind === 'kafka'
  const isTimescale = config.store.kind === 'timescale'
  const isFree = lock === undefined || lock.status === 'ok'
  const embedded = { broker: !isKafka, store: !isTimescale && needsStore(config) }
  const gateway = run?.roles.includes('gateway') ? connectTo(run) : undefined
  const [broker, store, folder] = await Promise.all([
    isKafka ? checkKafka(config, log, signal) : [],
    isTimescale && needsStore(config) ? checkTimescale(config, log, signal) : [],
    // A platform without a gateway holds the folder and tells nobody what is in it.
    isFree && (run === undefined || gateway) ? checkEmbedded(config, embedded, gateway, log, signal) : [],
  ])
  return [...(lock ? [lock] : []), ...folder, ...broker, ...store]
}

/** The platform of the run file, unless nothing answers there: a killed platform leaves the file there. */
async function findRun({ data }: Config, signal: AbortSignal): Promise<RunFile | undefined> {
  const run = readRunFile(data)
  if (run === undefined) return undefined
  try {
    await connectTo(run).call('/healthz', healthSchema, signal, { timeoutMs: ANSWER_MS })
  } catch (error) {
    if (toTapelineError(error).code === 'NOT_RUNNING') return undefined
  }
  return run
}

function readConfig(flags: Flags): Config | TapelineError {
  const settings = { ...platformSettings(flags), ...processSettings(flags), source: sourceSettings(flags) }
  try {
    const config = loadConfig({ file: textFlag(flags, 'config'), environment: process.env, flags: settings })
    refuseLonelyRoles(config)
    return config
  } catch (error) {
    return toTapelineError(error)
  }
}

function configFindings(error: TapelineError, file: string | undefined): Finding[] {
  if (error.fields.length === 0) return [failure('configuration', error)]
  const read = file === undefined ? '' : ` (read: ${file})`
  return error.fields.map(({ field, message, remedy }) =>
    fail('configuration', `${field} ${message}${read}`, remedy),
  )
}

function print(findings: readonly Finding[], terminal: Terminal): void {
  const width = Math.max(...findings.map(({ check }) => check.length))
  for (const { check, status, detail, remedy } of findings) {
    terminal.print(`${MARKS[status]}  ${check.padEnd(width)}  ${plainText(detail)}`)
    if (remedy !== undefined) terminal.print(`${' '.repeat(width + 8)}-> ${remedy}`)
  }
  const failed = findings.filter(({ status }) => status === 'fail').length
  const warned = findings.filter(({ status }) => status === 'warn').length
  terminal.note(
    failed + warned === 0
      ? 'All is well.'
      : `${failed} failed, ${warned} ${warned === 1 ? 'warning' : 'warnings'}`,
  )
}
