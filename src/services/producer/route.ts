import type { StreamEntry } from '../../control/registry-view.ts'
import { type CompiledSpec, compileSpec } from '../../domain/compiled-spec.ts'
import { type Channel, hasLatestValue } from '../../domain/events.ts'
import { lowest } from '../../domain/lowest.ts'
import { OpenWindows } from '../../domain/open-windows.ts'
import type { Place } from '../../domain/reader-rules.ts'
import { marketMatcher } from '../../domain/routing.ts'
import type { StreamSpec } from '../../domain/stream-spec.ts'
import type { FixedLog, PassedOver } from './checkpoint.ts'
import type { Shard } from './shard.ts'

/** A stream begins anew, with a `reset`: what it has in its topic does not count for what comes. */
export interface Anew {
  readonly reason: string
  /** Only records before this fixed offset may come a second time: without any the readers need not hear of it. */
  readonly before?: number
  /** When an owner last knew what the topic holds, if that is why; milliseconds. */
  readonly since?: number
}

/**
 * Fixed records from an offset on come in the place of a lost end. Readers that came to the stream from another topic of their lease may have positions
 * from there, though the stream itself has none: they are told in front of the first such record.
 */
export interface Again {
  readonly from: number
  readonly to: number
}

/** How far a stream is, of one shard. */
export interface Progress {
  /** Nothing before this fixed offset is derived for the stream. */
  readonly notBefore: number
  /** The next fixed offset to derive while the stream is behind the others; undefined once it is level with them. */
  behind: number | undefined
  /** Whether the topic has this owner's marker, and this owner knows what the topic holds of the shard. */
  prepared: boolean
  /** The highest place that the topic holds of this shard. */
  held: Place
  /** Its open windows, of a stream that has any: what lies before `behind`, or what the fixed topics have derived, is in them. */
  windows: OpenWindows | undefined
  /** Whether the stream begins anew; undefined once its readers have heard it. */
  anew: Anew | undefined
  /** What may come a second time for some of its readers; undefined where nothing does, or they have heard it. */
  again: Again | undefined
  /** Whether somebody waits until this owner has read what the topic holds. */
  isReadDue: boolean
  /** Whether this owner has read what the topic holds. */
  isRead: boolean
  /** Whether the shard's checkpoint covers the stream. */
  readonly isCovered: boolean
  /** Whether the stream still has to begin with the latest known values (R11). */
  latestDue: boolean
  /** When an owner last derived it, if not at the checkpoint: this owner reads the topic from then on. */
  readonly derivedAt: number | undefined
  /** The last fixed record before the checkpoint that the topic held then; undefined where none is known. */
  last: { readonly offset: number; readonly at: number } | undefined
  /** Where the topic went on after it had lost its end, until its readers have been told. */
  lostFrom: number | undefined
  /** When this owner sent something, and since then does not know whether the topic holds it; milliseconds. */
  sentAt: number | undefined
}

/** A stream that is derived: its topic, what it wants, and how far it is of each shard. */
export interface Route {
  readonly id: string
  readonly topic: string
  /** Identity of the topic: another one of its name is not ours. */
  readonly topicId: string
  readonly channel: Channel
  readonly spec: StreamSpec
  /** What it makes of the events of its markets. */
  readonly compiled: CompiledSpec
  readonly start: readonly number[]
  /** Offset of the registry's record that made it ready. */
  readonly readyOffset: number
  readonly progress: Map<number, Progress>
  /** By shard: where the topic went on after it had lost its end, while that is not told and the shard is another process's, or in doubt. */
  readonly untold: Map<number, number>
  /** All that the broker acknowledged to this process lies before this offset: the topic ends there, or later. */
  end: number
}

/** What a topic holds that holds nothing. */
export const NOTHING_HELD: Place = [-1, 0]

/** An owner reads a dynamic topic from so long before the time at which somebody last knew what it holds (R4). */
export const SLACK_MS = 60_000
/** When it was last known what the topic of a stream holds of a shard: milliseconds. */
export function knownAt({ sentAt, derivedAt }: Progress, { restored }: Shard): number {
  return sentAt ?? derivedAt ?? restored.at
}

/** The fixed offset of a shard from which on a stream wants something, in the log of now. */
export function startOf(route: Route, shard: Shard): number {
  const { channel, start, readyOffset } = route
  if (readyOffset < shard.logs[channel].since) return 0
  return Math.min(start[shard.k] ?? 0, ...lostEndsOf(route, shard).map(({ from }) => from))
}

/** The ends that the log has lost since a stream got ready. */
export function lostEndsOf(
  { channel, readyOffset }: Route,
  { logs }: Shard,
): NonNullable<FixedLog['lostEnds']> {
  return (logs[channel].lostEnds ?? []).filter(({ registryOffset }) => readyOffset < registryOffset)
}

function againOf(route: Route, shard: Shard, next: number): Again | undefined {
  const ends = lostEndsOf(route, shard)
  const to = Math.max(-1, ...ends.map((end) => end.to))
  return next < to ? { from: Math.min(...ends.map(({ from }) => from)), to } : undefined
}

export function toRoute(stream: StreamEntry): Route {
  return {
    id: stream.id,
    topic: stream.topic,
    topicId: stream.topicId,
    channel: stream.spec.channel,
    spec: stream.spec,
    compiled: compileSpec(stream.spec, stream.since),
    start: stream.start,
    readyOffset: stream.offset,
    progress: new Map(),
    untold: new Map(),
    end: 0,
  }
}

/**
 * Where a stream stands on a shard. A stream that an owner passed over is as far as `passed` says. One that the checkpoint covers is as far as
 * the checkpoint says. A later one begins at its start; it is behind if records after the start were chosen without it, or if its topic
 * cannot be written.
 */
export function placeOn(
  shard: Shard,
  route: Route,
  isAside: boolean,
  passed: PassedOver | undefined,
): Progress {
  const { restored } = shard
  const tail = shard.tails[route.channel]
  const covered = passed
    ? passed.positions[route.channel] !== undefined
    : route.readyOffset < restored.registryOffset
  const start = startOf(route, shard)
  const lost = shard.lost.get(route.channel)
  const positions = passed?.positions ?? restored.positions
  const wasAt = (passed ? undefined : restored.behind[route.id]) ?? positions[route.channel] ?? 0
  // Records in the place of a lost end are new to a stream that has nothing of that end.
  const checkpointed = lost?.code === 'OFFSET_OUT_OF_RANGE' ? Math.min(wasAt, lost.at) : wasAt
  if (lost?.code === 'TOPIC_REPLACED' && covered) {
    const next = restored.positions[route.channel] ?? 0
    const isNew = { notBefore: next, behind: next, anew: { reason: lost.reason }, latestDue: false }
    return {
      ...unread,
      ...isNew,
      windows: freshWindows(route, shard, next),
      derivedAt: passed?.at,
      isCovered: covered,
      again: undefined,
    }
  }
  const next = covered ? Math.max(start, checkpointed) : start
  const lostFrom = lowest(passed?.lostFrom, route.untold.get(shard.k))
  const isBehind = isAside || lostFrom !== undefined || next < Math.max(tail.derivedTo, tail.chosenTo)
  return {
    notBefore: next,
    behind: isBehind ? next : undefined,
    anew: undefined,
    again: againOf(route, shard, next),
    latestDue: !covered && hasLatestValue(route.channel),
    windows: covered ? windowsAt(route, shard, wasAt, next) : freshWindows(route, shard, next),
    derivedAt: passed?.at,
    isCovered: covered,
    ...unread,
    lostFrom,
  }
}

/** Windows without events: of books they know what the books were in front of the stream's first record. */
export function freshWindows(
  { compiled, channel, spec }: Route,
  shard: Shard,
  notBefore: number,
): OpenWindows | undefined {
  if (compiled.windows === undefined) return undefined
  const { matches } = marketMatcher(spec)
  const wanted = (exchange: string, symbol: string) => matches(channel, exchange, symbol)
  const known = shard.tails[channel].books?.before(notBefore, wanted) ?? []
  const markets = known.map(({ market: key, event }) => {
    const { exchange, symbol = '' } = event
    return { key, exchange, symbol, seen: -1, open: [], last: [0, event] as const }
  })
  return new OpenWindows(compiled.windows, { ticked: -1, markets })
}

/** The windows that the checkpoint has of a stream. Nothing has come for them since they were saved, or they would be saved anew. */
function windowsAt(route: Route, shard: Shard, offset: number, notBefore: number): OpenWindows | undefined {
  const saved = shard.savedWindows.get(route.id)
  if (saved === undefined || saved.offset > offset) return freshWindows(route, shard, notBefore)
  return route.compiled.windows && new OpenWindows(route.compiled.windows, saved)
}

/** What this owner knows of a topic that it has not read. */
const unread = {
  ...{ prepared: false, isRead: false, isReadDue: false, held: NOTHING_HELD },
  ...{ last: undefined, lostFrom: undefined, sentAt: undefined },
} as const
