import { whenAborted } from '../async/abort.ts'
import { type Config, type ConfigInput, loadConfig } from '../config.ts'
import { TapelineError } from '../errors.ts'
import { DIALECTS, isSimulatedExchange, type SimulatedExchange } from '../simulator/exchanges/index.ts'
import { marketsOfExchanges } from '../simulator/markets.ts'
import { needsStore } from '../topology/engines/roles.ts'
import { serverNames } from '../topology/engines/servers.ts'
import { type Platform, type PlatformOptions, startPlatform } from '../topology.ts'
import { type Command, type Flags, portFlag, textFlag } from './command.ts'
import {
  LOG_HELP,
  openPlatformLog,
  PLATFORM_OPTIONS,
  platformSettings,
  SERVER_OPTIONS,
} from './platform-flags.ts'

const HELP = `
Usage: tapeline up [--config FILE] [--roles ROLE,...] [--kafka HOST:PORT,...] [--database URL]
                   [--data DIR] [--port P] [--host H] [--simulator URL | --live] [--trace FILE]
                   [--log-level LEVEL] [--log pretty|json] [--inspect PORT]

Runs the platform as tapeline.yaml says, until Ctrl-C. Without servers all is in this process; with --kafka
and --database, or the same in the file, each role runs in as many processes as you start. A server that
refuses the connection at the start is waited for; a wrong password, host name or certificate, and missing
rights, end the process with exit code 1 and what to do.

  --config FILE     configuration file (default: tapeline.yaml where it exists)
  --roles ROLES     producer, coordinator, consumer-fixed, gateway (default: all)
  --kafka SERVERS   HOST:PORT with commas: Apache Kafka or Redpanda instead of the embedded broker; its
                    password only in TAPELINE_BROKER_PASSWORD or broker.passwordFile
  --database URL    postgres://USER@HOST:PORT/NAME: that database instead of the embedded one; its
                    password only in TAPELINE_STORE_PASSWORD or store.passwordFile
  --data DIR        data folder (default: .tapeline); with servers only for the run file
  --port P          port of the API (default: 8080), without the role gateway of health and metrics
                    (default: 0, which lets the system choose)
  --host H          address of the same (default: 127.0.0.1; a public API needs TAPELINE_API_KEYS)
  --simulator URL   take the data from a simulator (tapeline simulate), such as http://127.0.0.1:8089;
                    with --exchange NAME there: http://127.0.0.1:8089/NAME
  --live            take the data from Coinbase Exchange, without a key
${LOG_HELP}
  --inspect PORT    serve what machines do to Stately's inspector, to this machine only, for development

Without --simulator and --live the source is CryptoCompare, with the key in CRYPTOCOMPARE_API_KEY.
`

/** The settings that name the source, from --simulator and --live. Raises USAGE. */
export function sourceSettings(flags: Flags): NonNullable<ConfigInput['source']> {
  const simulator = textFlag(flags, 'simulator')
  if (simulator !== undefined && flags['live'])
    throw new TapelineError('USAGE', '--simulator and --live exclude each other')
  if (flags['live']) return { kind: 'coinbase' }
  if (simulator === undefined) return {}
  if (!URL.canParse(simulator)) {
    throw new TapelineError(
      'USAGE',
      `--simulator takes an address such as http://127.0.0.1:8089, not ${JSON.stringify(simulator)}`,
    )
  }
  const url = new URL(simulator)
  const name = url.pathname.replaceAll('/', '')
  if (name === '') return { kind: 'cryptocompare', url: `ws://${url.host}/v2`, restUrl: url.origin }
  if (!isSimulatedExchange(name))
    throw new TapelineError(
      'USAGE',
      `--simulator has the name of an exchange after the address (${Object.keys(DIALECTS).join(', ')}), not ${JSON.stringify(name)}`,
    )
  return simulatedExchange(url.origin, name)
}

/** An exchange of a simulator as a source: all that it has of the exchange. */
export function simulatedExchange(
  origin: string,
  name: SimulatedExchange,
): { kind: SimulatedExchange; url: string; restUrl: string; markets: string[] } {
  const markets = marketsOfExchanges([name]).map(({ exchange, symbol }) => `${exchange}:${symbol}`)
  return {
    kind: name,
    url: `${origin.replace(/^http/, 'ws')}/${name}`,
    restUrl: `${origin}/${name}`,
    markets,
  }
}

/** What this process does, and on which servers, from --roles, --kafka and --database. The schema checks each. */
export function processSettings(flags: Flags): ConfigInput {
  const roles = textFlag(flags, 'roles')
  const kafka = textFlag(flags, 'kafka')
  const database = textFlag(flags, 'database')
  return {
    ...(roles === undefined ? {} : { roles }),
    ...(kafka === undefined ? {} : { broker: { kind: 'kafka', bootstrap: kafka } }),
    ...(database === undefined ? {} : { store: { kind: 'timescale', url: database } }),
  }
}

export const command: Command = {
  name: 'up',
  runsPlatform: true,
  help: HELP,
  options: {
    ...PLATFORM_OPTIONS,
    ...SERVER_OPTIONS,
    inspect: { type: 'string' },
  },
  async run(flags, _words, terminal) {
    const config = loadConfig({
      file: textFlag(flags, 'config'),
      environment: process.env,
      flags: {
        ...platformSettings(flags),
        ...processSettings(flags),
        source: sourceSettings(flags),
      },
    })
    const log = openPlatformLog(config.log)
    const options = { log, trace: textFlag(flags, 'trace'), inspect: portFlag(flags, 'inspect') }
    const platform = await startUnlessEnded(config, options, terminal.signal)
    if (platform === undefined) return 0
    try {
      terminal.print(introduction(config, platform))
      await whenAborted(terminal.signal)
      terminal.note('stopping ...')
    } finally {
      await platform.close()
    }
    return 0
  },
}

/** Undefined where Ctrl-C ended it while it was starting or waiting for a server: that is no failure. */
async function startUnlessEnded(
  config: Config,
  options: PlatformOptions,
  signal: AbortSignal,
): Promise<Platform | undefined> {
  try {
    return await startPlatform(config, options, signal)
  } catch (error) {
    if (signal.aborted) return undefined
    throw error
  }
}

/** One line: roles, servers without secrets, and addresses. */
function introduction(config: Config, { api }: Platform): string {
  const names = serverNames(config)
  const folder = `the data folder ${config.data}`
  const engines = new Set([names.broker ?? folder, needsStore(config) ? (names.store ?? folder) : ''])
  const what = config.roles.includes('gateway') ? 'API' : 'health and metrics'
  return [
    `Tapeline runs: ${config.roles.join(', ')}, on ${[...engines].filter(Boolean).join(' and ')}`,
    `${what} at ${api}`,
  ].join(', ')
}
