import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { SourceItem } from '../../src/ports/source.ts'
import { type Measurement, measure, median } from '../bench.ts'
import { BOOKS, bookFramesOf } from './books.ts'
import { closeProtocol, openProtocol } from './protocol.ts'

/** So many changes a second are what a core is compared with. */
const RATE = 10_000
/** Of the simulated time: what an exchange with that rate takes. */
const MICROS_APART = 1e6 / RATE

/** What one round took. */
interface Round extends Measurement {
  /** Of 100 books that are right, in bytes. */
  readonly held: number
}

/** Changes of 100 books, from bytes to the events of the log: the processor time of each, and the memory of the books. */
export async function measureBooks(
  count: number,
  rounds: number,
  print: (line: string) => void,
): Promise<void> {
  const collect = collector()
  for (const { name, levels } of BOOKS) {
    const frames = bookFramesOf(name, levels, count)
    const measured: Round[] = []
    for (let round = 0; round < rounds; round++) measured.push(await readBooks(name, frames, collect))
    const micros = measured.map(({ mainCpuMicros, records }) => mainCpuMicros / records)
    const parsed: number[] = []
    for (let round = 0; round < rounds; round++) parsed.push(await parseAlone(frames.changes))
    const megabytes = median(measured.map(({ held }) => held)) / 1e6
    const share = (median(micros) * RATE) / 1e4
    print(
      `  books of ${name}, ${levels} levels a side: ${median(micros).toFixed(1)} us a change (${Math.min(...micros).toFixed(1)} to ${Math.max(...micros).toFixed(1)}), ` +
        `of which JSON.parse ${median(parsed).toFixed(1)}; ${share.toFixed(1)} % of a core at ${RATE.toLocaleString('en-US')}/s; 100 books hold ${megabytes.toFixed(1)} MB`,
    )
  }
}

async function readBooks(
  name: (typeof BOOKS)[number]['name'],
  { snapshots, changes }: ReturnType<typeof bookFramesOf>,
  collect: () => void,
): Promise<Round> {
  let recvTs = Date.now() * 1_000
  let told = 0
  const emit = (item: SourceItem): boolean => {
    if (item.channel !== 'book') return true
    if (item.event.doubt === undefined) told++
    return true
  }
  collect()
  const before = process.memoryUsage().heapUsed
  const protocol = await openProtocol(name, 'book', { emit, now: () => recvTs })
  for (const frame of snapshots) protocol.read(frame, recvTs)
  collect()
  const held = process.memoryUsage().heapUsed - before
  const measured = await measure(changes.length, async () => {
    for (const frame of changes) {
      recvTs += MICROS_APART
      protocol.read(frame, recvTs)
    }
  })
  const { valid } = protocol.books ?? { valid: 0 }
  if (valid !== 100) throw new Error(`${valid} books of 100 are right`)
  if (told < changes.length * 0.5) throw new Error(`only ${told} records came of ${changes.length} changes`)
  closeProtocol(protocol)
  return { ...measured, held }
}

/** What the parser takes of a frame, in microseconds. */
async function parseAlone(frames: readonly Buffer[]): Promise<number> {
  const { mainCpuMicros } = await measure(frames.length, async () => {
    for (const frame of frames) JSON.parse(frame.toString())
  })
  return mainCpuMicros / frames.length
}

function collector(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}
