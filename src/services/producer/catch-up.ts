import { readRanges } from '../../control/read-range.ts'
import { decodeEvent } from '../../domain/event-codec.ts'
import type { Channel } from '../../domain/events.ts'
import { counts, emptyMemory } from '../../domain/reader-rules.ts'
import { matchesMarket } from '../../domain/routing.ts'
import { toTapelineError } from '../../errors.ts'
import { type Derivation, type DerivedRecord, derivedRecord, latestOf } from './derive.ts'
import type { ShardOwnership } from './ownership.ts'
import type { ProducerParts } from './parts.ts'
import type { Progress, Route } from './routes.ts'
import type { PublishedRecord, Shard } from './shard.ts'

/** How many fixed records one piece covers at most: small, so that the fixed topics never wait long for it (R3). */
const PIECE = 5_000
/** How many streams are helped on in one step, and how many of them whose topics are still to be read. */
const STREAMS_A_STEP = 100
const UNPREPARED_A_STEP = 10
/** About how many records are published together. */
const RECORDS_TOGETHER = 10_000
/** How far before a piece the log is read to learn the epochs that count there. */
const EPOCH_SLACK = 1_000

/** Pieces of some streams that are published together; `done` takes note of those that were. */
interface CatchUpStep {
  readonly derivation: Derivation
  done(late: ReadonlySet<Route>): void
}

export interface CatchUp {
  /** What comes next for streams that are behind: each by itself while it is not known which topic cannot be written. */
  next(isSeparate: boolean, signal: AbortSignal): Promise<CatchUpStep[]>
}

/** A stream that is behind on a shard. */
interface Straggler {
  readonly route: Route
  readonly progress: Progress
  readonly behind: number
}

/** What is derived for a stream of one shard. */
interface Piece {
  readonly route: Route
  readonly records: readonly DerivedRecord[]
  done(): void
}

/** Derives for streams that are behind the others, by reading the fixed topics again: once for all that are at about the same place. */
export function createCatchUp(parts: ProducerParts, { shards, routes }: ShardOwnership): CatchUp {
  /** The streams to help on, by shard and channel. */
  const stragglers = (): Map<Shard, Map<Channel, Straggler[]>> => {
    const found = new Map<Shard, Map<Channel, Straggler[]>>()
    let [taken, unprepared] = [0, 0]
    for (const route of routes.due()) {
      if (taken >= STREAMS_A_STEP) break
      if (isUnprepared(route) && ++unprepared > UNPREPARED_A_STEP) continue
      taken++
      for (const [k, progress] of route.progress) {
        const shard = shards.get(k)
        if (progress.behind === undefined || shard === undefined) continue
        const ofShard = found.get(shard) ?? new Map<Channel, Straggler[]>()
        found.set(shard, ofShard)
        const ofChannel = ofShard.get(route.channel) ?? []
        ofShard.set(route.channel, ofChannel)
        ofChannel.push({ route, progress, behind: progress.behind })
      }
    }
    return found
  }

  const isUnprepared = ({ progress }: Route): boolean =>
    [...progress].some(([k, { prepared }]) => !prepared && shards.has(k))

  return {
    async next(isSeparate, signal) {
      const pieces: Piece[] = []
      for (const [shard, channels] of stragglers()) {
        for (const [channel, group] of channels)
          pieces.push(...(await readPieces(parts, shard, channel, group, signal)))
      }
      return together(pieces, (route) => isSeparate || routes.aside.has(route))
    },
  }
}

/** Puts pieces together that are published in one go. */
function together(pieces: readonly Piece[], isAlone: (route: Route) => boolean): CatchUpStep[] {
  const steps: { alone: Route | undefined; derivation: Derivation; pieces: Piece[]; records: number }[] = []
  for (const piece of pieces) {
    const { route, records } = piece
    const alone = isAlone(route) ? route : undefined
    let step = steps.find((each) => each.alone === alone && (alone || each.records < RECORDS_TOGETHER))
    if (step === undefined) {
      step = { alone, derivation: new Map(), pieces: [], records: 0 }
      steps.push(step)
    }
    step.pieces.push(piece)
    step.records += records.length
    // A topic that could not be written is tried with its marker, though nothing may be missing there.
    if (records.length > 0 || alone)
      step.derivation.set(route, [...(step.derivation.get(route) ?? []), ...records])
  }
  return steps.map(({ derivation, pieces: own }) => ({
    derivation,
    done(late) {
      for (const piece of own) if (!late.has(piece.route)) piece.done()
    },
  }))
}

/** Reads the fixed topic on from the stream that is furthest behind, and derives for all that lie within the piece. */
async function readPieces(
  parts: ProducerParts,
  shard: Shard,
  channel: Channel,
  group: readonly Straggler[],
  signal: AbortSignal,
): Promise<Piece[]> {
  const from = Math.min(...group.map(({ behind }) => behind))
  const goal = shard.tails[channel].derivedTo
  const end = Math.min(goal, from + PIECE)
  const { records, holes } = await readPublished(parts, shard, channel, from, end, signal)
  const topic = parts.topics[channel]
  return group.flatMap(({ route, progress, behind }): Piece[] => {
    if (behind >= end && end < goal) return []
    const derived = records
      .filter(({ offset }) => offset >= behind)
      .filter(({ exchange, symbol }) => matchesMarket(route.spec, channel, exchange, symbol))
      .map((record) => derivedRecord(shard, topic, record))
    const latest = progress.latestDue ? latestOf(route, shard, progress, parts.topics) : []
    const markers = holes
      .filter(({ to }) => to > behind)
      .map(({ from: first, to, why }) => holeMarker(shard, Math.max(first, behind), to, why))
    const next = Math.max(end, ...holes.map(({ to }) => to))
    return [
      {
        route,
        // A hole stands in front of the first record behind it.
        records: [...latest, ...[...markers, ...derived].toSorted((a, b) => a.offset - b.offset)],
        done() {
          progress.behind = next < goal ? next : undefined
          progress.latestDue = false
        },
      },
    ]
  })
}

/** Fixed records that are gone for good: `to` is the first one behind them. */
interface Hole {
  readonly from: number
  readonly to: number
  readonly why: string
}

/** The records of a range of a fixed partition that streams may want, and what is missing among them. */
async function readPublished(
  { broker, topics, log }: ProducerParts,
  { k }: Shard,
  channel: Channel,
  from: number,
  end: number,
  signal: AbortSignal,
): Promise<{ readonly records: PublishedRecord[]; readonly holes: readonly Hole[] }> {
  const topic = topics[channel]
  const memory = emptyMemory()
  const found: PublishedRecord[] = []
  const holes: Hole[] = []
  await readRanges(
    broker,
    [{ topic, partition: k, offset: Math.max(0, from - EPOCH_SLACK), end }],
    ({ records }) => {
      for (const { headers, offset, value } of records) {
        if (!counts(memory, headers) || value === null || offset < from || headers.reentering) continue
        try {
          const { exchange, symbol = '' } = decodeEvent(channel, value, headers.v)
          found.push({ offset, exchange, symbol, value })
        } catch (error) {
          log.warn({ topic, offset, code: toTapelineError(error).code }, 'a record cannot be derived')
        }
      }
    },
    signal,
    (_topic, _partition, to) => {
      holes.push({ from, to, why: 'retention removed them before they were derived' })
    },
    ({ offset, nextOffset: to, reason }) => {
      holes.push({ from: offset, to, why: `they cannot be read: ${reason}` })
    },
  )
  return { records: found, holes }
}

/** A marker with a body: readers answer it with `reset`, since what lies between is gone for good (R4). */
function holeMarker(shard: Shard, from: number, to: number, why: string): DerivedRecord {
  const reason = `fixed records ${from} to ${to - 1} of shard ${shard.k} are gone: ${why}`
  const value = new TextEncoder().encode(JSON.stringify({ reset: reason }))
  return { shard, offset: to, record: { key: null, value, headers: shard.markerHeaders } }
}
