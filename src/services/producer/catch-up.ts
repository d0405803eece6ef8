import { readRanges } from '../../control/read-range.ts'
import { decodeEvent } from '../../domain/event-codec.ts'
import { counts, emptyMemory } from '../../domain/reader-rules.ts'
import { matchesMarket } from '../../domain/routing.ts'
import { toTapelineError } from '../../errors.ts'
import { type Derivation, type DerivedRecord, derivedRecord, latestOf } from './derive.ts'
import type { ShardOwnership } from './ownership.ts'
import type { ProducerParts } from './parts.ts'
import type { Progress, Route } from './routes.ts'
import type { Shard } from './shard.ts'

/** How many fixed records one piece covers at most: small, so that the fixed topics never wait long for it (R3). */
const PIECE = 5_000
/** How many streams are helped on in one step. */
const STREAMS_A_STEP = 20
/** How far before a piece the log is read to learn the epochs that count there. */
const EPOCH_SLACK = 1_000

/** A piece of what a stream is behind; `done` takes note that it was published. */
interface Piece {
  readonly derivation: Derivation
  done(): void
}

export interface CatchUp {
  /** The next piece of some streams that are behind. */
  next(signal: AbortSignal): Promise<Piece[]>
}

/** Derives for streams that are behind the others, by reading the fixed topics again. */
export function createCatchUp(parts: ProducerParts, { shards, routes }: ShardOwnership): CatchUp {
  const readPiece = async (
    route: Route,
    shard: Shard,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<Piece> => {
    const from = progress.behind ?? 0
    const goal = shard.tails[route.channel].derivedTo
    const end = Math.min(goal, from + PIECE)
    const { derived, next } = await deriveRange(parts, route, shard, from, end, signal)
    const latest = progress.latestDue ? latestOf(route, shard, progress, parts.topics) : []
    const records = [...latest, ...derived]
    // A topic that could not be written is tried with its marker, though nothing may be missing there.
    const isTried = records.length > 0 || routes.aside.has(route)
    return {
      derivation: new Map(isTried ? [[route, records]] : []),
      done() {
        progress.behind = next < goal ? next : undefined
        progress.latestDue = false
      },
    }
  }

  return {
    async next(signal) {
      const pieces: Piece[] = []
      for (const route of routes.due()) {
        if (pieces.length >= STREAMS_A_STEP) break
        for (const [k, progress] of route.progress) {
          const shard = shards.get(k)
          if (progress.behind === undefined || shard === undefined) continue
          pieces.push(await readPiece(route, shard, progress, signal))
        }
      }
      return pieces
    },
  }
}

/** What a stream wants of a range of a fixed partition, and where to go on. */
async function deriveRange(
  { broker, topics, log }: ProducerParts,
  route: Route,
  shard: Shard,
  from: number,
  end: number,
  signal: AbortSignal,
): Promise<{ readonly derived: DerivedRecord[]; readonly next: number }> {
  const topic = topics[route.channel]
  const memory = emptyMemory()
  const derived: DerivedRecord[] = []
  let next = end
  await readRanges(
    broker,
    [{ topic, partition: shard.k, offset: Math.max(0, from - EPOCH_SLACK), end }],
    ({ records }) => {
      for (const record of records) {
        if (!counts(memory, record.headers) || record.value === null) continue
        if (record.offset < from || record.headers.reentering) continue
        try {
          const event = decodeEvent(route.channel, record.value, record.headers.v)
          const market = { exchange: event.exchange, symbol: event.symbol ?? '' }
          if (!matchesMarket(route.spec, route.channel, market.exchange, market.symbol)) continue
          derived.push(derivedRecord(shard, topic, { offset: record.offset, ...market, value: record.value }))
        } catch (error) {
          log.warn(
            { topic, offset: record.offset, code: toTapelineError(error).code },
            'a record cannot be derived',
          )
        }
      }
    },
    signal,
    (_topic, _partition, earliest) => {
      if (earliest <= from) return
      derived.unshift(holeMarker(shard, from, earliest))
      next = Math.max(end, earliest)
    },
  )
  return { derived, next }
}

/** A marker with a body: readers answer it with `reset`, since what lies between is gone for good (R4). */
function holeMarker(shard: Shard, from: number, earliest: number): DerivedRecord {
  const reason = `retention removed fixed records ${from} to ${earliest - 1} of shard ${shard.k} before they were derived`
  const value = new TextEncoder().encode(JSON.stringify({ reset: reason }))
  return { shard, offset: earliest, record: { key: null, value, headers: shard.markerHeaders } }
}
