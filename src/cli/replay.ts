import { readCapture } from '../adapters/source/feed/capture.ts'
import { createReplaySource } from '../adapters/source/replay.ts'
import { pause } from '../async/timers.ts'
import { type Config, loadConfig } from '../config.ts'
import { TapelineError } from '../errors.ts'
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
import { openPlatformLog, PLATFORM_OPTIONS, platformSettings, WITHIN_THIS_PROCESS } from './platform-flags.ts'
import { describeCapture } from './replay/contents.ts'
import { countedSource, noCounts, type ReplayCounts } from './replay/counted-source.ts'

const HELP = `
Usage: tapeline replay FILE [--speed recorded|fastest] [--exit] [--json] [--data DIR] [--port P]
                       [--host H] [--config FILE] [--trace FILE] [--log-level LEVEL] [--log pretty|json]

Runs the platform on recorded raw frames of Coinbase Exchange's WebSocket feed instead of a live source:
the same parser, topics, database and streams. A line of the file is "EPOCH_SECONDS: FRAME".
Trades that the database has already are recognised and not stored again. It uses the data folder even where
the configuration names servers, so that no recording gets into the data of a platform there.

  --speed S       fastest (default), or recorded: at the distances in time of the recording
  --exit          end once everything is published and stored, with a summary
  --json          print the summary as one JSON object
  --data DIR      data folder (default: .tapeline)
  --port P        port of the API (default: 8080, with --exit one that is free)
  --config FILE   configuration file (default: tapeline.yaml where it exists)

Examples:
  tapeline replay COINBASE.ws.28.0 --data replayed --exit
  tapeline replay COINBASE.ws.28.0 --speed recorded
`

const CHECK_EVERY_MS = 50
const STATUS_EVERY_MS = 10_000

export const command: Command = {
  name: 'replay',
  runsPlatform: true,
  summary: 'run the platform on recorded frames',
  help: HELP,
  options: {
    ...PLATFORM_OPTIONS,
    config: { type: 'string' },
    speed: { type: 'string' },
    exit: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  async run(flags, words, terminal) {
    expectWords(words, 'the FILE of recorded frames', 1)
    const [path = ''] = words
    const speed = choiceFlag(flags, 'speed', ['recorded', 'fastest']) ?? 'fastest'
    await refuseUnreadable(path, terminal.signal)
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
        source: (log) => countedSource(createReplaySource({ path, speed, log, ...skewOf(config) }), counts),
      },
      terminal.signal,
    )
    try {
      introduce(path, config, platform, terminal)
      await untilOver(platform, counts, flags['exit'] === true, terminal)
      if (terminal.signal.aborted) return flags['exit'] ? 1 : 0
      return await summarise(path, platform, counts, flags, terminal)
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

/** Raises CAPTURE_INVALID where the file cannot be read or does not begin like a capture: the source would go on trying. */
async function refuseUnreadable(path: string, signal: AbortSignal): Promise<void> {
  const { done } = await readCapture(path, signal).next()
  if (done && !signal.aborted) throw new TapelineError('CAPTURE_INVALID', `the capture ${path} is empty`)
}

function introduce(path: string, config: Config, platform: Platform, terminal: Terminal): void {
  terminal.note(`Replaying ${path} into ${config.data}; API at ${platform.api}`)
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
  path: string,
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
  const { trades, quotes, markets } = counts
  if (flags['json']) {
    terminal.print(JSON.stringify({ trades, quotes, markets, malformed, stored: rows[0] }))
  } else {
    terminal.print(`replayed  ${describe(counts)}`)
    terminal.print(`database  ${rows[0]?.['trades']} trades, ${rows[0]?.['quotes']} quotes`)
    if (malformed > 0) terminal.print(`left out  ${malformed} frames that are none of Coinbase Exchange`)
  }
  if (trades + quotes > 0) return 0
  const contents = await describeCapture(path, terminal.signal)
  terminal.note(`Nothing in ${path} is a trade or quote of Coinbase Exchange: ${contents}.`)
  return 1
}

function describe({ trades, quotes, markets }: ReplayCounts): string {
  return `${trades} trades, ${quotes} quotes, ${markets} markets`
}
