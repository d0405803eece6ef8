import { randomBytes } from 'node:crypto'
import { pause } from '../async/timers.ts'
import { type Config, type ConfigInput, loadConfig } from '../config.ts'
import { marketKey } from '../domain/events.ts'
import { isAbort, TapelineError, toTapelineError } from '../errors.ts'
import type { Log } from '../ports/log.ts'
import { DEFAULT_MARKETS } from '../simulator/markets.ts'
import type { Simulator } from '../simulator/simulator.ts'
import { startSimulatorThread } from '../simulator/thread.ts'
import { clockMicros } from '../topology/sources.ts'
import { type Platform, type PlatformOptions, startPlatform } from '../topology.ts'
import { type Command, countFlag, type Flags, type Terminal, textFlag } from './command.ts'
import { type Application, startApplication } from './demo/application.ts'
import {
  LOG_HELP,
  openPlatformLog,
  PLATFORM_OPTIONS,
  platformSettings,
  WITHIN_THIS_PROCESS,
} from './platform-flags.ts'
import { simulatedExchange, sourceSettings } from './up.ts'

const HELP = `
Usage: tapeline demo [--rate R] [--events N] [--seed S] [--ledger FILE] [--exit] [--live]
                     [--data DIR] [--port P] [--host H] [--trace FILE] [--log-level LEVEL] [--log pretty|json]

Runs everything in one process, with nothing installed: simulated exchanges (Coinbase, Binance and Kraken by
their own protocols with order books, Bitstamp by CryptoCompare's), the producer, the broker, TimescaleDB, the
API, and one application that reads all trades. This is what npm start runs.
It uses the data folder even where a tapeline.yaml names servers: those are for tapeline up.

  --rate R       trades a second over all markets (default: 50)
  --events N     stop emitting after N trades (default: never; with --exit those of 10 seconds)
  --seed S       seed of the simulated markets (default: 1)
  --ledger FILE  write each emitted trade, one JSON line each
  --exit         end once N trades are stored and delivered, with a summary; exit code 1 if any is missing
  --live         take the data from Coinbase Exchange instead of the simulator, without a key
  --data DIR     data folder (default: .tapeline)
  --port P       port of the API (default: 8080; 0 lets the system choose)
  --host H       address of the API (default: 127.0.0.1; a public one needs TAPELINE_API_KEYS)
${LOG_HELP}
`

const STANDING = { 'all-trades': { channel: 'trade' as const, symbols: ['*'] } }
/** The exchanges that the demo reads by their own protocols. */
const OWN_PROTOCOLS = ['coinbase', 'binance', 'kraken'] as const
/** Quotes and books of 30 markets cost more than their trades. */
const QUOTE_MS = 1_000
const STATUS_EVERY_MS = 10_000
/** Without any progress for so long, --exit gives up: something is missing. */
const PATIENCE_MS = 30_000
/** Latencies of the first trades are those of code that has never run; of a short run they are a third at the most. */
const MOST_WARM_UP_SECONDS = 2
const DEFAULT_RATE = 50
/** What --exit emits without --events. */
const SECONDS_TO_EXIT = 10

export const command: Command = {
  name: 'demo',
  runsPlatform: true,
  help: HELP,
  options: {
    ...PLATFORM_OPTIONS,
    rate: { type: 'string' },
    events: { type: 'string' },
    seed: { type: 'string' },
    ledger: { type: 'string' },
    exit: { type: 'boolean' },
    live: { type: 'boolean' },
  },
  async run(flags, _words, terminal) {
    const simulator = flags['live'] ? undefined : await startMarkets(flags)
    try {
      const config = loadConfig({
        environment: process.env,
        flags: {
          ...platformSettings(flags),
          ...WITHIN_THIS_PROCESS,
          ...(simulator ? { sources: simulatedSources(simulator) } : { source: sourceSettings(flags) }),
          streams: { standing: STANDING },
        },
      })
      return await runPlatform(config, flags, simulator, terminal)
    } finally {
      await simulator?.close()
    }
  },
}

function startMarkets(flags: Flags): Promise<Simulator> {
  return startSimulatorThread({
    seed: countFlag(flags, 'seed') ?? 1,
    rate: rateOf(flags),
    events: eventsOf(flags),
    ledger: textFlag(flags, 'ledger'),
    exchanges: OWN_PROTOCOLS,
    quoteMillis: QUOTE_MS,
    markets: DEFAULT_MARKETS.map(marketKey),
  })
}

function rateOf(flags: Flags): number {
  return countFlag(flags, 'rate', 1) ?? DEFAULT_RATE
}

/** How many trades are emitted; undefined where there is no end. */
function eventsOf(flags: Flags): number | undefined {
  return countFlag(flags, 'events', 1) ?? (flags['exit'] ? rateOf(flags) * SECONDS_TO_EXIT : undefined)
}

/** Coinbase, Binance and Kraken by their own protocols; the others by CryptoCompare's, which has candles too. */
function simulatedSources(simulator: Simulator): NonNullable<ConfigInput['sources']> {
  const others = DEFAULT_MARKETS.filter(({ exchange }) => !OWN_PROTOCOLS.some((name) => name === exchange))
  return [
    ...OWN_PROTOCOLS.map((name) => ({
      ...simulatedExchange(simulator.url, name),
      channels: ['trade', 'quote', 'book'] as const,
      bookDepth: 10,
    })),
    {
      kind: 'cryptocompare' as const,
      url: simulator.websocketUrl,
      restUrl: simulator.url,
      markets: others.map(marketKey),
    },
  ]
}

async function runPlatform(
  configured: Config,
  flags: Flags,
  simulator: Simulator | undefined,
  terminal: Terminal,
): Promise<number> {
  const { config, ownKey } = withOwnKey(configured)
  const log: Log = openPlatformLog(config.log)
  // Opening a new database takes seconds of both cores: latencies are counted from a while after that.
  let countedFrom = Number.POSITIVE_INFINITY
  let application: Application | undefined
  const onServing: PlatformOptions['onServing'] = async (api, certificate) => {
    application = await startApplication({ api, certificate, key: ownKey }, () => countedFrom)
  }
  terminal.note('starting; a new data folder takes some seconds ...')
  const platform = await startPlatform(
    config,
    { log, trace: textFlag(flags, 'trace'), onServing },
    terminal.signal,
  )
  const runSeconds = (eventsOf(flags) ?? Number.POSITIVE_INFINITY) / rateOf(flags)
  countedFrom = clockMicros() + Math.min(MOST_WARM_UP_SECONDS, runSeconds / 3) * 1e6
  try {
    const storedBefore = await countTrades(platform, terminal.signal)
    introduce(config, platform, simulator, terminal)
    if (!flags['exit'] || !simulator || !application) {
      await showStatus(platform, application, storedBefore, terminal)
      terminal.note('stopping ...')
      return 0
    }
    const wanted = eventsOf(flags) ?? 0
    const began = clockMicros()
    const stored = await untilComplete(platform, application, storedBefore, wanted, terminal)
    const seconds = (clockMicros() - began) / 1e6
    return summarise(wanted, stored, application, seconds, terminal)
  } finally {
    await application?.close()
    await platform.close()
  }
}

/** Where the API asks for keys, the demo's own application has one too: made anew for each run, and known to nobody else. */
function withOwnKey(config: Config): { readonly config: Config; readonly ownKey: string | undefined } {
  if (config.apiKeys.length === 0) return { config, ownKey: undefined }
  const ownKey = randomBytes(32).toString('base64url')
  return { config: { ...config, apiKeys: [...config.apiKeys, { name: 'demo', key: ownKey }] }, ownKey }
}

function introduce(
  config: Config,
  platform: Platform,
  simulator: Simulator | undefined,
  terminal: Terminal,
): void {
  const from = simulator ? `simulated exchanges at ${simulator.url}` : 'Coinbase Exchange'
  const data = config.data === '.tapeline' ? '' : ` --data ${config.data}`
  terminal.print(
    [
      `Tapeline runs: ${from} -> producer -> fixed topics -> TimescaleDB, in ${config.data}`,
      `API and page:  ${platform.api}   (API reference: ${platform.api}/docs)`,
      'A stream of your own, in another terminal:',
      ...(config.apiKeys.length === 0
        ? []
        : ['  export TAPELINE_API_KEY=...      (a key of TAPELINE_API_KEYS)']),
      `  npm run -s tapeline -- streams create --channel trade --symbols 'BTC-*'${data}`,
      `  npm run -s tapeline -- tail STREAM${data}      (the id that it printed)`,
      `  npm run -s tapeline -- sql "select exchange, symbol, count(*) from trades group by 1, 2"${data}`,
      'Ctrl-C ends it; started again it goes on where it was.',
    ].join('\n'),
  )
}

async function countTrades(platform: Platform, signal: AbortSignal): Promise<number> {
  const { rows } = await platform.query('select count(*) as n from trades', signal)
  return Number(rows[0]?.['n'] ?? 0)
}

/** How many trades are stored; the error instead where the database is away, full or slow, which passes by itself. */
async function countIfAnswered(platform: Platform, signal: AbortSignal): Promise<number | TapelineError> {
  try {
    return await countTrades(platform, signal)
  } catch (thrown) {
    const error = toTapelineError(thrown)
    if (signal.aborted || !error.retryable || error.code === 'INTERNAL') throw thrown
    return error
  }
}

async function showStatus(
  platform: Platform,
  application: Application | undefined,
  storedBefore: number,
  terminal: Terminal,
): Promise<void> {
  while (!terminal.signal.aborted) {
    await pause(STATUS_EVERY_MS, terminal.signal)
    if (terminal.signal.aborted) return
    const counted = await countIfAnswered(platform, terminal.signal).catch((error: unknown) => {
      // Ctrl-C may come in the middle of the question.
      if (!isAbort(error)) throw error
    })
    if (counted === undefined) return
    const stored =
      counted instanceof TapelineError
        ? `the database does not answer (${counted.code}), it is tried again`
        : `${counted - storedBefore} trades stored`
    terminal.note(`${stored}, ${application?.delivered ?? 0} delivered since the start`)
  }
}

/** Waits until all trades are stored and delivered; gives how many are stored. Gives up when nothing moves any more. */
async function untilComplete(
  platform: Platform,
  application: Application,
  storedBefore: number,
  wanted: number,
  terminal: Terminal,
): Promise<number> {
  let progressAt = clockMicros()
  let known = -1
  let stored = 0
  while (!terminal.signal.aborted) {
    // Counting rows holds up the one database session, so it waits until all have been delivered.
    const counted =
      application.delivered >= wanted ? await countIfAnswered(platform, terminal.signal) : undefined
    if (typeof counted === 'number') stored = counted - storedBefore
    if (stored >= wanted && application.delivered >= wanted) break
    const progress = stored + application.delivered
    if (progress !== known) progressAt = clockMicros()
    known = progress
    if (clockMicros() - progressAt > PATIENCE_MS * 1000) break
    await pause(100, terminal.signal)
  }
  return stored
}

function summarise(
  wanted: number,
  stored: number,
  application: Application,
  seconds: number,
  terminal: Terminal,
): number {
  const { delivered, duplicates } = application
  terminal.print(
    [
      `produced   ${wanted} trades in ${seconds.toFixed(1)} s (${Math.round(wanted / seconds)}/s)`,
      `stored     ${stored}`,
      `delivered  ${delivered}`,
      `duplicates ${duplicates}`,
      `latency    source frame -> WebSocket client: ${application.latencies}`,
    ].join('\n'),
  )
  return stored === wanted && delivered === wanted && duplicates === 0 ? 0 : 1
}
