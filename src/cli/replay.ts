import type { SourceKind } from '../adapters/source/feed/source-kind.ts'
import { SOURCE_NAMES, SOURCES, type SourceName } from '../adapters/source/index.ts'
import { inspectRecording } from '../adapters/source/recording/inspect.ts'
import { createReplaySource } from '../adapters/source/replay.ts'
import { pause } from '../async/timers.ts'
import { type Config, loadConfig } from '../config.ts'
import { parseMarket } from '../domain/market-names.ts'
import { TapelineError } from '../errors.ts'
import type { Market } from '../ports/source.ts'
import { type Platform, startPlatform } from '../topology.ts'
import {
  type Command,
  choiceFlag,
  countFlag,
  expectWords,
  type Flags,
  type Terminal,
  textFlag,
} from './command.ts'
import {
  LOG_HELP,
  openPlatformLog,
  PLATFORM_OPTIONS,
  platformSettings,
  WITHIN_THIS_PROCESS,
} from './platform-flags.ts'
import { describeCapture } from './replay/contents.ts'
import { countedSource, noCounts, type ReplayCounts } from './replay/counted-source.ts'
import { speedFlag } from './speed-flag.ts'

const HELP = `
Usage: tapeline replay FILE... [--speed recorded|N|fastest] [--source KIND] [--markets M,...] [--exit]
                       [--json] [--data DIR] [--port P] [--host H] [--config FILE] [--trace FILE]
                       [--log-level LEVEL] [--log pretty|json]

Runs the platform on recorded raw frames instead of a live source: the same parser, topics, database and streams.
It takes recordings of tapeline record, files of cryptofeed's raw data collection ("EPOCH_SECONDS: FRAME"), and
frames as they came, one JSON a line; each plain or compressed with gzip or zstd. Several files are read one after
another. Trades that the database has already are recognised and not stored again. It uses the data folder even
where the configuration names servers, so that no recording gets into the data of a platform there.

  --speed S       fastest (default); recorded: at the distances in time of the recording; a number such as 10: so
                  many times as fast
  --source KIND   whose frames they are, where neither the file nor its frames tell
  --markets M     only these, with commas, such as kraken:BTC-USD (default: all that the files have)
  --exit          end once everything is published and stored, with a summary
  --json          print the summary as one JSON object
  --data DIR      data folder (default: .tapeline)
  --port P        port of the API (default: 8080, with --exit one that is free)
  --host H        address of the API (default: 127.0.0.1; a public one needs TAPELINE_API_KEYS)
  --config FILE   configuration file (default: tapeline.yaml where it exists)
${LOG_HELP}

Examples:
  tapeline replay COINBASE.ws.28.0 --data replayed --exit
  tapeline replay recordings/kraken-*.jsonl.zst --speed 10
`

const CHECK_EVERY_MS = 50
const STATUS_EVERY_MS = 10_000

export const command: Command = {
  name: 'replay',
  runsPlatform: true,
  help: HELP,
  options: {
    ...PLATFORM_OPTIONS,
    config: { type: 'string' },
    speed: { type: 'string' },
    source: { type: 'string' },
    markets: { type: 'string' },
    exit: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  async run(flags, words, terminal) {
    expectWords(words, 'the FILE of recorded frames', 1, Number.POSITIVE_INFINITY)
    const speed = speedFlag(flags) ?? 'fastest'
    const recording = await lookInto(words, flags, terminal.signal)
    const config = loadConfig({
      file: textFlag(flags, 'config'),
      environment: process.env,
      flags: replaySettings(flags),
    })
    const counts = noCounts()
    const platform = await startPlatform(
      config,
      {
        log: openPlatformLog(config.log),
        trace: textFlag(flags, 'trace'),
        source: (log) =>
          countedSource(createReplaySource({ ...recording, speed, log, ...skewOf(config) }), counts),
      },
      terminal.signal,
    )
    try {
      introduce(recording, config, platform, terminal)
      await untilOver(platform, counts, flags['exit'] === true, terminal)
      if (terminal.signal.aborted) return flags['exit'] ? 1 : 0
      return await summarise(recording, platform, counts, flags, terminal)
    } finally {
      await platform.close()
    }
  },
}

/** How far after its recorded arrival an event may lie, where that is configured. */
function skewOf({ source: { maxSkew } }: Config): { readonly maxSkewMs?: number } {
  return maxSkew === undefined ? {} : { maxSkewMs: maxSkew }
}

/** With --exit nobody is told the address, so any free port will do. */
function replaySettings(flags: Flags) {
  const { gateway, ...settings } = platformSettings(flags)
  const free = flags['exit'] && countFlag(flags, 'port') === undefined ? { port: 0 } : {}
  return { ...settings, ...WITHIN_THIS_PROCESS, gateway: { ...gateway, ...free } }
}

/** What is replayed. */
interface Recording {
  readonly paths: readonly string[]
  readonly source: SourceName | undefined
  readonly markets: readonly Market[]
  /** What people call those whose frames the files have. */
  readonly titles: string
}

/** Raises CAPTURE_INVALID where a file cannot be read or does not begin like a capture: the source would go on trying. */
async function lookInto(paths: readonly string[], flags: Flags, signal: AbortSignal): Promise<Recording> {
  const source = choiceFlag(flags, 'source', SOURCE_NAMES)
  const markets = marketsFlag(flags)
  const titles = new Set<string>()
  for (const path of paths) {
    const contents = await inspectRecording(path, { source, markets }, signal)
    const { title, page }: SourceKind = SOURCES[contents.source]
    titles.add(page.endsWith('coinbase-exchange') ? `${title} Exchange` : title)
  }
  return { paths, source, markets, titles: [...titles].join(' and ') }
}

/** Raises USAGE. */
function marketsFlag(flags: Flags): readonly Market[] {
  const names = (textFlag(flags, 'markets') ?? '').split(',').filter(Boolean)
  return names.map((name) => {
    const market = parseMarket(name.trim())
    if (market === undefined)
      throw new TapelineError(
        'USAGE',
        `--markets takes markets such as kraken:BTC-USD, not ${JSON.stringify(name)}`,
      )
    return market
  })
}

function introduce(
  { paths, titles }: Recording,
  config: Config,
  platform: Platform,
  terminal: Terminal,
): void {
  const files = paths.length === 1 ? paths[0] : `${paths.length} files`
  terminal.note(`Replaying ${files} (${titles}) into ${config.data}; API at ${platform.api}`)
}

/** Waits until everything is published and stored, or for Ctrl-C where it does not exit. Raises CAPTURE_INVALID. */
async function untilOver(
  platform: Platform,
  counts: ReplayCounts,
  exits: boolean,
  terminal: Terminal,
): Promise<void> {
  let shownAt = performance.now()
  let isTold = false
  while (!terminal.signal.aborted) {
    const failure = platform.sourceHealth()?.failure
    if (failure) throw new TapelineError('CAPTURE_INVALID', failure.message)
    if (counts.isPublished && (exits || !isTold) && (await platform.countUnstored(terminal.signal)) === 0) {
      if (exits) return
      isTold = true
      terminal.note(`All is stored: ${describe(counts)}. Ctrl-C ends it.`)
    }
    if (performance.now() - shownAt > STATUS_EVERY_MS && !isTold) {
      shownAt = performance.now()
      terminal.note(describe(counts))
    }
    await pause(CHECK_EVERY_MS, terminal.signal)
  }
}

/** Prints what was replayed; the exit code: 1 where nothing in the file was for us. */
async function summarise(
  { paths, titles }: Recording,
  platform: Platform,
  counts: ReplayCounts,
  flags: Flags,
  terminal: Terminal,
): Promise<number> {
  const { rows } = await platform.query(
    'select (select count(*) from trades) as trades, (select count(*) from quotes) as quotes',
    terminal.signal,
  )
  const malformed = platform.sourceHealth()?.counters.malformed ?? 0
  const { trades, quotes, books, markets } = counts
  if (flags['json']) {
    terminal.print(JSON.stringify({ trades, quotes, books, markets, malformed, stored: rows[0] }))
  } else {
    terminal.print(`replayed  ${describe(counts)}`)
    terminal.print(`database  ${rows[0]?.['trades']} trades, ${rows[0]?.['quotes']} quotes`)
    if (malformed > 0) terminal.print(`left out  ${malformed} frames that are none of ${titles}`)
  }
  if (trades + quotes + books > 0) return 0
  for (const path of paths) {
    const contents = await describeCapture(path, terminal.signal)
    terminal.note(`Nothing in ${path} is a trade, quote or book of ${titles}: ${contents}.`)
  }
  return 1
}

function describe({ trades, quotes, books, markets }: ReplayCounts): string {
  return `${trades} trades, ${quotes} quotes, ${books === 0 ? '' : `${books} book records, `}${markets} markets`
}
