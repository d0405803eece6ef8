import { withDeadline } from '../../async/deadline.ts'
import { findTopic } from '../../control/topics.ts'
import type { Channel } from '../../domain/events.ts'
import { toTapelineError } from '../../errors.ts'
import { type Derivation, type DerivedRecord, derive, latestOf, resetMarker, tellAgain } from './derive.ts'
import type { ShardOwnership } from './ownership.ts'
import type { ProducerParts } from './parts.ts'
import { readPublished } from './read-published.ts'
import type { Anew, Progress, Route } from './route.ts'
import type { Routes } from './routes.ts'
import type { Shard } from './shard.ts'
import type { PublishedRecord, Tick } from './tail.ts'
import { WindowSteps } from './window-steps.ts'

/** How many fixed records one piece covers at most: small, so that the fixed topics never wait long for it (R3). */
const PIECE = 5_000
/** How many records one piece derives at most, for all its streams together. */
const DERIVED_A_PIECE = 50_000
/** How many pieces one step reads, and how long one may take: a partition that nobody can read must not hold up the step. */
const PIECES_A_STEP = 4
const READ_MS = 5_000
/** How long the broker may take to say where a topic ends. */
const LOOK_MS = 2_000
/** How many streams one step brings on. Those whose topics are not read yet are prepared as long as the step has time for it; the others wait. */
const STREAMS_A_STEP = 1_000
/** About how many records one publish takes. */
const RECORDS_TOGETHER = 10_000

/** The shares of some streams, which are published together; `done` takes note of those that were. */
interface CatchUpStep {
  readonly derivation: Derivation
  readonly routes: readonly Route[]
  done(late: ReadonlySet<Route>): void
}

export interface CatchUp {
  /**
   * What comes next for streams that are behind. `isSeparate`: each stream by itself, since nobody knows which topic cannot be written. A
   * partition that cannot be read rests, and does not fail the step.
   */
  next(isSeparate: boolean, signal: AbortSignal): Promise<CatchUpStep[]>
}

/** A stream that is behind on a shard. */
interface Straggler {
  readonly route: Route
  readonly progress: Progress
  readonly behind: number
}

/** Streams at about the same place of one fixed partition. `from` is the place of the stream that is furthest behind. */
interface Piece {
  readonly shard: Shard
  readonly channel: Channel
  readonly from: number
  readonly group: readonly Straggler[]
}

/** What a piece gives for one of its streams. */
interface Share {
  readonly route: Route
  readonly records: readonly DerivedRecord[]
  /** Whether its topic has to be read also if it misses nothing. */
  readonly isReadDue: boolean
  done(): void
}

/**
 * Derives for streams that are behind, by reading the fixed topics again: once for all streams at about the same place. A stream that is far
 * behind makes no other wait: a stream that was helped on goes to the end of the line.
 */
export function createCatchUp(producer: ProducerParts, { shards, routes, doubt }: ShardOwnership): CatchUp {
  const { log } = producer

  /** The streams to bring on, by shard and channel, those that have waited the longest first. */
  const stragglers = (): Map<Shard, Map<Channel, Straggler[]>> => {
    const found = new Map<Shard, Map<Channel, Straggler[]>>()
    let taken = 0
    for (const route of routes.due()) {
      if (taken++ >= STREAMS_A_STEP) break
      for (const [k, progress] of route.progress) {
        const shard = shards.get(k)
        if (progress.behind === undefined || shard === undefined) continue
        if (routes.isResting(k, route.channel)) continue
        const ofShard = found.get(shard) ?? new Map<Channel, Straggler[]>()
        found.set(shard, ofShard)
        const ofChannel = ofShard.get(route.channel) ?? []
        ofShard.set(route.channel, ofChannel)
        ofChannel.push({ route, progress, behind: progress.behind })
      }
    }
    return found
  }

  const read = async (piece: Piece, signal: AbortSignal): Promise<readonly Share[]> => {
    const { shard, channel } = piece
    try {
      const found = await withDeadline(signal, READ_MS, (deadline) =>
        readPiece(producer, routes, piece, deadline),
      )
      routes.wake(shard.k, channel)
      return found
    } catch (error) {
      signal.throwIfAborted()
      routes.rest(shard.k, channel)
      const { code } = toTapelineError(error)
      log.warn(
        { topic: producer.topics[channel], partition: shard.k, code, streams: piece.group.length },
        'streams that are behind cannot go on for now: their fixed topic cannot be read',
      )
      // A take-over tells: its own marker lies there for certain.
      if (await isShorter(piece, signal)) doubt([shard.k])
      return []
    }
  }

  /** Whether the broker shows less of a fixed partition than this owner has written. */
  const isShorter = async ({ shard, channel }: Piece, signal: AbortSignal): Promise<boolean> => {
    const topic = producer.topics[channel]
    const shown = await withDeadline(signal, LOOK_MS, (deadline) =>
      findTopic(producer.broker, topic, deadline),
    ).catch(() => undefined)
    signal.throwIfAborted()
    const { expected } = shard.tails[channel]
    return (shown?.offsets[shard.k]?.end ?? expected) < expected
  }

  return {
    async next(isSeparate, signal) {
      const pieces = [...stragglers()].flatMap(([shard, channels]) =>
        [...channels].map(([channel, waiting]) => cutPieces(shard, channel, waiting)),
      )
      const chosen = inTurns(pieces).slice(0, PIECES_A_STEP)
      const found = await Promise.all(
        chosen.map(async (piece) => ({ piece, shares: await read(piece, signal) })),
      )
      const owned = found.filter(({ piece: { shard } }) => shards.get(shard.k) === shard)
      return together(
        owned.flatMap(({ shares }) => shares),
        (route) => isSeparate || routes.aside.has(route),
      )
    },
  }
}

/** Cuts the streams of one fixed partition by their places; the piece whose stream has waited the longest comes first. */
function cutPieces(shard: Shard, channel: Channel, waiting: readonly Straggler[]): Piece[] {
  const order = new Map(waiting.map((straggler, i) => [straggler, i]))
  const pieces: { readonly piece: Piece & { readonly group: Straggler[] }; first: number }[] = []
  for (const straggler of waiting.toSorted((a, b) => a.behind - b.behind)) {
    const at = order.get(straggler) ?? 0
    const last = pieces.at(-1)
    if (last !== undefined && straggler.behind < last.piece.from + PIECE) {
      last.piece.group.push(straggler)
      last.first = Math.min(last.first, at)
    } else pieces.push({ piece: { shard, channel, from: straggler.behind, group: [straggler] }, first: at })
  }
  return pieces.toSorted((a, b) => a.first - b.first).map(({ piece }) => piece)
}

/** One of each line after the other. */
function inTurns<T>(lines: readonly (readonly T[])[]): T[] {
  const longest = Math.max(0, ...lines.map(({ length }) => length))
  return Array.from({ length: longest }, (_, i) => lines.flatMap((line) => line.slice(i, i + 1))).flat()
}

/** Puts shares together that are published in one go. */
function together(shares: readonly Share[], isAlone: (route: Route) => boolean): CatchUpStep[] {
  interface Open {
    readonly derivation: Derivation
    readonly shares: Share[]
    records: number
  }
  const steps: Open[] = []
  const alone = new Map<Route, Open>()
  let shared: Open | undefined
  const open = (): Open => {
    const step = { derivation: new Map(), shares: [], records: 0 }
    steps.push(step)
    return step
  }
  const stepOf = (route: Route): Open => {
    if (!isAlone(route)) {
      if (shared === undefined || shared.records >= RECORDS_TOGETHER) shared = open()
      return shared
    }
    const own = alone.get(route) ?? open()
    alone.set(route, own)
    return own
  }
  for (const share of shares) {
    const { route, records } = share
    const step = stepOf(route)
    step.shares.push(share)
    step.records += records.length
    // A topic that could not be written is tried with a marker, even if it misses nothing.
    if (records.length > 0 || share.isReadDue || alone.has(route))
      step.derivation.set(route, [...(step.derivation.get(route) ?? []), ...records])
  }
  return steps.map(({ derivation, shares: own }) => ({
    derivation,
    routes: own.map(({ route }) => route),
    done(late) {
      for (const share of own) if (!late.has(share.route)) share.done()
    },
  }))
}

/** Reads a piece of a fixed topic, and derives for all its streams. */
async function readPiece(
  producer: ProducerParts,
  routes: Routes,
  { shard, channel, from, group }: Piece,
  signal: AbortSignal,
): Promise<readonly Share[]> {
  const goal = shard.tails[channel].derivedTo
  const whole = Math.min(goal, from + PIECE)
  const { records, holes } = await readPublished(producer, shard, channel, from, whole, signal)
  const steps = new WindowSteps(producer.meter)
  const { derived, end } = deriveFor(producer, routes, { shard, channel, from, group }, records, whole, steps)
  const reached = holes.filter((hole) => hole.from < end)
  return group.flatMap(({ route, progress, behind }): Share[] => {
    if (behind >= end && end < goal) return []
    const latest = progress.latestDue ? latestOf(route, shard, progress, producer.topics) : []
    const own = derived.get(route) ?? []
    const { anew } = progress
    const next = Math.max(end, ...reached.map(({ to }) => to))
    const isAnew = anew !== undefined && isTold(anew, [...latest, ...own])
    const beginning = isAnew ? [anewMarker(shard, producer.topics[channel], behind, anew.reason)] : []
    const told = tellAgain(route, shard, own, routes, producer.topics[channel])
    const markers = reached
      .filter(({ to }) => to > behind)
      .map(({ from: first, to, why }) => holeMarker(route, shard, Math.max(first, behind), to, why))
    return [
      {
        route,
        // A hole stands in front of the first record after it.
        records: [
          ...[...beginning, ...latest],
          ...[...markers, ...told.records].toSorted((a, b) => a.offset - b.offset),
        ],
        isReadDue: progress.isReadDue && !progress.isRead,
        done() {
          steps.commit(progress)
          progress.behind = next < goal ? next : undefined
          progress.latestDue = false
          if (isAnew || next >= (anew?.before ?? 0)) {
            progress.anew = undefined
            progress.lostFrom = undefined
          }
          if (told.isOver) progress.again = undefined
        },
      },
    ]
  })
}

/** What records give for the streams of a piece, and where the piece ends: earlier than planned where that is enough. */
function deriveFor(
  { topics }: ProducerParts,
  routes: Routes,
  { shard, channel, group }: Piece,
  records: readonly (PublishedRecord | Tick)[],
  whole: number,
  steps: WindowSteps,
): { readonly derived: ReadonlyMap<Route, readonly DerivedRecord[]>; readonly end: number } {
  const behind = new Map(group.map((straggler) => [straggler.route, straggler.behind]))
  const derived = new Map<Route, DerivedRecord[]>()
  let count = 0
  const partition = { shard, fixedTopic: topics[channel] }
  const give = (route: Route, record: DerivedRecord): void => {
    const own = derived.get(route) ?? []
    derived.set(route, own)
    own.push(record)
    count++
  }
  for (const record of records) {
    const due = routes
      .concerned(channel, record)
      .filter((route) => record.offset >= (behind.get(route) ?? Number.POSITIVE_INFINITY))
    derive(partition, record, due, steps, give)
    if (count >= DERIVED_A_PIECE) return { derived, end: Math.min(whole, record.offset + 1) }
  }
  return { derived, end: whole }
}

/** Whether readers must hear in front of these records that the stream begins anew. */
function isTold({ before }: Anew, records: readonly DerivedRecord[]): boolean {
  return before === undefined || records.some(({ offset }) => offset < before)
}

/** A marker with a body and a position: offsets come a second time, so readers forget how far they were (`reader-rules.ts`). */
function anewMarker(shard: Shard, topic: string, offset: number, reason: string): DerivedRecord {
  return resetMarker(shard, offset, reason, { topic, partition: shard.k, offset })
}

/** A marker with a body: readers answer it with `reset`, since what lies between is gone for good (R4). */
function holeMarker({ compiled }: Route, shard: Shard, from: number, to: number, why: string): DerivedRecord {
  const reason = `fixed records ${from} to ${to - 1} of shard ${shard.k} are gone: ${why}`
  const marker = resetMarker(shard, to - 1, reason)
  // A topic that holds the last of these records misses none of them, but for what was in open windows.
  return compiled.windows === undefined ? marker : { ...marker, isDue: true }
}
