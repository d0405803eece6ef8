import { COMPRESSIONS, type CompressionName } from '../adapters/source/recording/compression.ts'
import { createRecorder, type Recorder } from '../adapters/source/recording/recorder.ts'
import { pause } from '../async/timers.ts'
import { type Config, type ConfigInput, loadConfig, withOneSource } from '../config.ts'
import { parseDuration } from '../domain/time.ts'
import { TapelineError, toTapelineError } from '../errors.ts'
import type { Source } from '../ports/source.ts'
import { clockMicros, createSource } from '../topology/sources.ts'
import {
  type Command,
  choiceFlag,
  countFlag,
  expectWords,
  type Flags,
  type Terminal,
  textFlag,
} from './command.ts'
import { openLog } from './platform-flags.ts'

const HELP = `
Usage: tapeline record [--source KIND] [--markets M,...] [--out DIR] [--compress gzip|zstd|none]
                       [--rotate-mb N] [--rotate-every T] [--for T] [--config FILE] [--log-level LEVEL]

Writes the raw frames of sources with their times into files, until Ctrl-C: what tapeline replay reads. No platform
runs for it. Each connection has files of its own, KIND-TIME.jsonl.zst, one after another; a cut file can be read
up to the cut, and nothing is lost but its last second. Started again it begins a new file in the same folder.

  --source KIND      this source alone, such as kraken, with the settings that the configuration has for it
  --markets M        its markets, with commas, such as kraken:BTC-USD,kraken:ETH-USD
  --out DIR          folder of the files (default: recordings)
  --compress C       zstd (default), gzip or none
  --rotate-mb N      a new file after N megabytes (default: 256)
  --rotate-every T   a new file after so long, such as 1h (default)
  --for T            end after so long, such as 10m (default: never)
  --log-level L    debug, info, warn, error or silent (default: info)
  --config FILE      configuration file (default: tapeline.yaml where it exists)

Examples:
  tapeline record --source coinbase --markets coinbase:BTC-USD --for 10m
  tapeline replay recordings/coinbase-*.jsonl.zst --exit
`

const CHECK_EVERY_MS = 250
const STATUS_EVERY_MS = 10_000
const MEGABYTE = 1024 * 1024

export const command: Command = {
  name: 'record',
  help: HELP,
  options: {
    source: { type: 'string' },
    markets: { type: 'string' },
    out: { type: 'string' },
    compress: { type: 'string' },
    'rotate-mb': { type: 'string' },
    'rotate-every': { type: 'string' },
    for: { type: 'string' },
    config: { type: 'string' },
    'log-level': { type: 'string' },
  },
  async run(flags, words, terminal) {
    expectWords(words, '', 0)
    const chosen = choiceFlag(flags, 'compress', [...COMPRESSION_NAMES, 'none']) ?? 'zstd'
    const files = {
      folder: textFlag(flags, 'out') ?? 'recordings',
      compression: chosen === 'none' ? undefined : chosen,
      rotateBytes: (countFlag(flags, 'rotate-mb', 1) ?? 256) * MEGABYTE,
      rotateMs: durationFlag(flags, 'rotate-every') ?? 3_600_000,
      now: clockMicros,
    }
    const config = configOf(flags)
    const recorders: Recorder[] = []
    const connections = new Map<string, number>()
    const { source, markets } = await createSource(config, openLog(config.log.level), (of) => {
      const number = (connections.get(of.name) ?? 0) + 1
      connections.set(of.name, number)
      const name = number === 1 ? of.name : `${of.name}-${number}`
      const recorder = createRecorder({ ...files, ...of, name })
      recorders.push(recorder)
      return recorder
    })
    const untilAt = performance.now() + (durationFlag(flags, 'for') ?? Number.POSITIVE_INFINITY)
    try {
      const asked = markets.current()
      source.subscribe(asked)
      terminal.note(`Recording ${asked.length} markets into ${files.folder}; Ctrl-C ends it.`)
      await record(source, recorders, untilAt, terminal)
    } finally {
      await source.close()
      await Promise.all(recorders.map((recorder) => recorder.close()))
    }
    const { frames, lost, paths } = sumOf(recorders)
    terminal.print(`recorded ${frames} frames in ${paths.length} files`)
    if (lost > 0) terminal.note(`${lost} frames found no room: the disk is too slow.`)
    for (const path of paths) terminal.note(path)
    return frames > 0 && lost === 0 ? 0 : 1
  },
}

const COMPRESSION_NAMES = Object.keys(COMPRESSIONS) as CompressionName[]

/** Raises USAGE. */
function durationFlag(flags: Flags, name: string): number | undefined {
  const text = textFlag(flags, name)
  if (text === undefined) return undefined
  const duration = parseDuration(text)
  if (duration !== undefined && duration > 0) return duration
  throw new TapelineError('USAGE', `--${name} takes a duration such as 10m, not ${JSON.stringify(text)}`)
}

/** The configuration; where the flags name a source that one alone, with the settings that the configuration has for it. Raises USAGE, CONFIG_INVALID. */
function configOf(flags: Flags): Config {
  const kind = textFlag(flags, 'source')
  const markets = textFlag(flags, 'markets')
  const level = textFlag(flags, 'log-level')
  if (kind === undefined && markets !== undefined)
    throw new TapelineError('USAGE', '--markets goes with --source')
  const config = loadConfig({
    file: textFlag(flags, 'config'),
    environment: process.env,
    flags: { ...(level !== undefined && { log: { level } }) } as ConfigInput,
  })
  if (kind === undefined) return config
  return withOneSource(config, { kind, ...(markets !== undefined && { markets: markets.split(',') }) })
}

/** Pulls from the source, whose events nobody wants here, until it is time to end. Raises FILE_UNWRITABLE. */
async function record(
  source: Source,
  recorders: readonly Recorder[],
  untilAt: number,
  terminal: Terminal,
): Promise<void> {
  let shownAt = performance.now()
  while (!terminal.signal.aborted && performance.now() < untilAt) {
    const failure = recorders.find((each) => each.failure)?.failure
    if (failure) throw failure
    try {
      await source.next({ maxItems: 10_000, lingerMs: 0, waitMs: CHECK_EVERY_MS }, terminal.signal)
    } catch (error) {
      if (terminal.signal.aborted) return
      // The source goes on trying, and its log says why it is away.
      toTapelineError(error, 'SOURCE_UNAVAILABLE')
      await pause(CHECK_EVERY_MS, terminal.signal)
    }
    if (performance.now() - shownAt < STATUS_EVERY_MS) continue
    shownAt = performance.now()
    terminal.note(`${sumOf(recorders).frames} frames`)
  }
}

function sumOf(recorders: readonly Recorder[]) {
  return {
    frames: recorders.reduce((sum, { counts }) => sum + counts.frames, 0),
    lost: recorders.reduce((sum, { counts }) => sum + counts.lost, 0),
    paths: recorders.flatMap(({ counts }) => counts.files),
  }
}
