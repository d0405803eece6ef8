import type { SOURCES } from '../../src/adapters/source/index.ts'
import type { SourceItem } from '../../src/ports/source.ts'
import { type Bench, describe, type Measurement, measure } from '../bench.ts'
import { measureBooks } from './book-bench.ts'
import { framesOf, READ_BY_OTHERS } from './frames.ts'
import { closeProtocol, openProtocol } from './protocol.ts'

const FRAMES = 200_000
const ROUNDS = 5

/** Reads frames, and gives how many trades they had. */
type Read = (frames: readonly Buffer[]) => number

export const bench: Bench = {
  summary:
    'frames with a trade each, of 100 markets, as the sources read them, against JSON.parse alone and against the mappers of tardis-dev where that is installed; then changes of 100 order books',
  async run({ records }, print) {
    const count = records ?? FRAMES
    const mappers = await loadMappers()
    if (mappers === undefined)
      print('  tardis-dev is not installed: npm install --no-save tardis-dev compares with its mappers too')
    for (const { name, tardis } of READ_BY_OTHERS) {
      const frames = framesOf(name, count)
      const sides: Record<string, () => Promise<Read>> = {
        tapeline: () => openReader(name),
        'JSON.parse': async () => parseAlone,
        ...(mappers && { 'tardis-dev': async () => mapWith(mappers(tardis, new Date())) }),
      }
      const rounds = new Map<string, Measurement[]>(Object.keys(sides).map((side) => [side, []]))
      for (let round = 0; round < ROUNDS; round++)
        for (const [side, open] of Object.entries(sides)) rounds.get(side)?.push(await readAll(open, frames))
      const subject = rounds.get('tapeline') ?? []
      for (const [side, baseline] of rounds)
        if (side !== 'tapeline') print(describe({ name, unit: 'frames', subject, baseline, against: side }))
    }
    await measureBooks(count, ROUNDS, print)
  },
}

/** A reader of its own for each round, by the processor time that it takes. */
async function readAll(open: () => Promise<Read>, frames: readonly Buffer[]): Promise<Measurement> {
  const read = await open()
  let found = 0
  const measured = await measure(frames.length, async () => {
    found = read(frames)
  })
  if (found !== frames.length) throw new Error(`${found} trades of ${frames.length} were read`)
  return { ...measured, seconds: measured.mainCpuMicros / 1e6 }
}

async function openReader(name: keyof typeof SOURCES): Promise<Read> {
  let found = 0
  let recvTs = 0
  const emit = (item: SourceItem): boolean => {
    if (item.channel === 'trade') found++
    return true
  }
  const protocol = await openProtocol(name, 'trade', { emit, now: () => recvTs })
  return (frames) => {
    const began = Date.now() * 1_000
    for (const [i, frame] of frames.entries()) {
      recvTs = began + i
      protocol.read(frame, recvTs)
    }
    closeProtocol(protocol)
    return found
  }
}

function parseAlone(frames: readonly Buffer[]): number {
  let found = 0
  for (const frame of frames) if (typeof JSON.parse(frame.toString()) === 'object') found++
  return found
}

/** What is used of tardis-dev, which nothing else needs. */
interface Mapper {
  canHandle(message: unknown): boolean
  map(message: unknown, localTimestamp: Date): Iterable<unknown> | undefined
}
type MapperOf = (exchange: string, localTimestamp: Date) => Mapper

async function loadMappers(): Promise<MapperOf | undefined> {
  const name: string = 'tardis-dev'
  try {
    return ((await import(name)) as { readonly normalizeTrades: MapperOf }).normalizeTrades
  } catch {
    return undefined
  }
}

function mapWith(mapper: Mapper): Read {
  return (frames) => {
    let found = 0
    const now = new Date()
    for (const frame of frames) {
      const message: unknown = JSON.parse(frame.toString())
      if (!mapper.canHandle(message)) continue
      for (const _ of mapper.map(message, now) ?? []) found++
    }
    return found
  }
}
