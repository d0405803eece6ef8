import { readCapture } from '../../adapters/source/feed/capture.ts'
import { timedLine } from '../../adapters/source/recording/frame-time.ts'
import { inspectRecording } from '../../adapters/source/recording/inspect.ts'
import { TapelineError } from '../../errors.ts'
import { DIALECTS, isSimulatedExchange, type SimulatedExchange } from '../../simulator/exchanges/index.ts'
import { openFrameReader } from '../../simulator/recorded/exchange.ts'
import type { RecordedLine, ServedRecording } from '../../simulator/recorded/simulator.ts'

/** So many lines of a file tell which markets it has, where it does not say so. */
const MOST_LINES = 200_000

/** What the simulator tells of files of recorded frames: those of one exchange one after another. Raises CAPTURE_INVALID. */
export async function openRecordings(
  paths: readonly string[],
  signal: AbortSignal,
): Promise<readonly ServedRecording[]> {
  const found = new Map<SimulatedExchange, { paths: string[]; names: Set<string> }>()
  for (const path of paths) {
    const { source, markets } = await inspectRecording(path, {}, signal)
    if (!isSimulatedExchange(source))
      throw new TapelineError(
        'CAPTURE_INVALID',
        `${path} is a recording of ${source}, as which the simulator does not speak`,
      )
    const of = found.get(source) ?? { paths: [], names: new Set() }
    found.set(source, of)
    of.paths.push(path)
    for (const { symbol } of markets) of.names.add(DIALECTS[source].nameOf(symbol))
    for (const name of await namesIn(path, source, signal)) of.names.add(name)
  }
  return [...found].map(([exchange, of]) => ({
    exchange,
    names: [...of.names],
    lines: (until: AbortSignal) => linesOf(of.paths, until),
  }))
}

/** What the exchange calls the markets of a file, as far as its frames show. */
async function namesIn(
  path: string,
  exchange: SimulatedExchange,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const names = new Set<string>()
  let lines = 0
  let read = openFrameReader(DIALECTS[exchange])
  for await (const line of readCapture(path, signal)) {
    // A recording of ours says which markets it has.
    if (++lines > MOST_LINES || line.kind === 'begins') break
    if (line.kind === 'opened') read = openFrameReader(DIALECTS[exchange])
    if (line.kind !== 'received' && line.kind !== 'untimed') continue
    const told = read(line.frame)
    if (told) names.add(told.topic.name)
  }
  return names
}

async function* linesOf(paths: readonly string[], signal: AbortSignal): AsyncGenerator<RecordedLine> {
  let lastTs = 0
  for (const path of paths)
    for await (const given of readCapture(path, signal)) {
      const line = timedLine(given, lastTs)
      if ('ts' in line) lastTs = line.ts
      if (line.kind === 'received' || line.kind === 'answered') yield line
      else if (line.kind === 'opened' || (line.kind === 'begins' && !line.continues)) yield { kind: 'opened' }
    }
}
