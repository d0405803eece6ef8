import { type ConfigInput, loadConfig } from '../config.ts'
import { TapelineError } from '../errors.ts'
import { startPlatform } from '../topology.ts'
import { type Command, type Flags, textFlag } from './command.ts'
import { openLog, PLATFORM_OPTIONS, platformSettings, untilAborted } from './platform-flags.ts'

const HELP = `
Usage: tapeline up [--config FILE] [--roles ROLE,...] [--data DIR] [--port P] [--host H]
                   [--simulator URL | --live] [--trace FILE] [--log-level LEVEL]

Runs the platform as tapeline.yaml says, until Ctrl-C.

  --config FILE     configuration file (default: tapeline.yaml where it exists)
  --roles ROLES     producer, coordinator, consumer-fixed, gateway (default: all)
  --data DIR        data folder (default: .tapeline)
  --port P          port of the API (default: 8080; 0 lets the system choose)
  --host H          address of the API (default: 127.0.0.1; a public one needs TAPELINE_API_KEYS)
  --simulator URL   take the data from a simulator (tapeline simulate), such as http://127.0.0.1:8089
  --live            take the data from Coinbase Exchange, without a key
  --trace FILE      write one JSON line for each transition of a machine
  --log-level L     debug, info, warn, error or silent

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
  return { kind: 'cryptocompare', url: `ws://${url.host}/v2`, restUrl: url.origin }
}

export const command: Command = {
  name: 'up',
  summary: 'run the platform as the configuration says',
  help: HELP,
  options: {
    ...PLATFORM_OPTIONS,
    config: { type: 'string' },
    roles: { type: 'string' },
    simulator: { type: 'string' },
    live: { type: 'boolean' },
  },
  async run(flags, _words, terminal) {
    const roles = textFlag(flags, 'roles')
    const config = loadConfig({
      file: textFlag(flags, 'config'),
      environment: process.env,
      flags: {
        ...platformSettings(flags),
        source: sourceSettings(flags),
        // The schema splits text with commas and checks each name.
        ...(roles === undefined ? {} : { roles: roles.split(',') as NonNullable<ConfigInput['roles']> }),
      },
    })
    const log = openLog(config.log.level)
    const platform = await startPlatform(config, { log, trace: textFlag(flags, 'trace') }, terminal.signal)
    try {
      terminal.print(
        `Tapeline runs: ${config.roles.join(', ')}, on ${config.data}${platform.api ? `, API at ${platform.api}` : ''}`,
      )
      await untilAborted(terminal.signal)
      terminal.note('stopping ...')
    } finally {
      await platform.close()
    }
    return 0
  },
}
