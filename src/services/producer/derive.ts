import { type Channel, type EventOf, marketKey } from '../../domain/events.ts'
import type { Position } from '../../domain/record.ts'
import { marketMatcher } from '../../domain/routing.ts'
import type { OutgoingRecord } from '../../ports/broker.ts'
import type { Again, Progress, Route } from './route.ts'
import type { Routes } from './routes.ts'
import type { Shard } from './shard.ts'
import type { PublishedRecord, Tick } from './tail.ts'
import type { WindowSteps } from './window-steps.ts'

/** A record on its way into a dynamic topic, with the shard and fixed offset that caused it (R4). */
export interface DerivedRecord {
  readonly shard: Shard
  readonly offset: number
  /** Which one it is of several that one fixed record caused. */
  readonly n?: number
  readonly record: OutgoingRecord
  /** It tells of this: superfluous once the readers have heard it. */
  readonly again?: Again
  /** It is told whatever the topic holds. */
  readonly isDue?: true
}

/** What is derived in one step, by stream. */
export type Derivation = Map<Route, DerivedRecord[]>

type Give = (route: Route, derived: DerivedRecord) => void

/**
 * Derives a fixed record, or a tick, for streams: each that wants it is given its record, and one with windows the records of those that close.
 * What is the same for all streams is made once, whatever number of them takes it. `steps` takes note of what becomes of windows; without it the
 * record counts by itself.
 */
export function derive(
  partition: FixedPartition,
  source: PublishedRecord | Tick,
  routes: Iterable<Route>,
  steps: WindowSteps | undefined,
  give: Give,
): void {
  const { shard, fixedTopic } = partition
  let whole: DerivedRecord | undefined
  for (const route of routes) {
    if (!('tick' in source) && !route.compiled.wants(source.event)) continue
    const step = steps?.of(route.progress.get(shard.k))
    if (step !== undefined) {
      const closed = 'tick' in source ? step.tick(source.tick) : step.take(source.event)
      giveClosed(partition, source.offset, route, closed, give)
    } else if (!('tick' in source)) {
      const { offset, market: key, event, value } = source
      if (whole === undefined) {
        const headers = { ...shard.headers, position: { topic: fixedTopic, partition: shard.k, offset } }
        whole = { shard, offset, record: { key, value, headers } }
      }
      const shaped = route.compiled.shape(event, value)
      give(route, shaped === value ? whole : { shard, offset, record: { ...whole.record, value: shaped } })
    }
  }
}

/** Gives a stream the records of windows that one fixed record has closed. */
function giveClosed(
  { shard, fixedTopic }: FixedPartition,
  offset: number,
  route: Route,
  closed: readonly EventOf[Channel][],
  give: Give,
): void {
  closed.filter(route.compiled.keeps).forEach((event, n) => {
    const headers = { ...shard.headers, position: { topic: fixedTopic, partition: shard.k, offset, n } }
    const record = { key: marketKey(event), value: route.compiled.encode(event), headers }
    give(route, { shard, offset, n, record })
  })
}

/** A partition of a fixed topic, of a shard that is owned. */
interface FixedPartition {
  readonly shard: Shard
  readonly fixedTopic: string
}

/** Derives all that the fixed topics have in hand, for every stream that is level with them. */
export function deriveLive(
  shards: Iterable<Shard>,
  routes: Routes,
  topics: Readonly<Record<Channel, string>>,
  steps: WindowSteps,
): Derivation {
  const derivation: Derivation = new Map()
  const give = (route: Route, derived: DerivedRecord): void => add(derivation, route, derived)
  for (const shard of shards) {
    for (const [channel, tail] of Object.entries(shard.tails) as [Channel, Shard['tails'][Channel]][]) {
      const partition = { shard, fixedTopic: topics[channel] }
      for (const source of tail.pending) {
        const due = routes.concerned(channel, source).filter((route) => isDue(route, shard, source))
        derive(partition, source, due, steps, give)
      }
    }
  }
  return derivation
}

/** Whether a stream that is level with the fixed topics begins at a record, or in front of it. */
function isDue({ progress }: Route, { k }: Shard, { offset }: PublishedRecord | Tick): boolean {
  const own = progress.get(k)
  return own !== undefined && own.behind === undefined && offset >= own.notBefore
}

/** Puts the latest known values in front of streams of quotes, candles or books that begin (R11). */
export function addLatest(
  derivation: Derivation,
  shards: ReadonlyMap<number, Shard>,
  routes: Routes,
  topics: Readonly<Record<Channel, string>>,
): Progress[] {
  const begun: Progress[] = []
  for (const route of routes.unsettled) {
    for (const [k, progress] of route.progress) {
      const shard = shards.get(k)
      if (!progress.latestDue || progress.behind !== undefined || shard === undefined) continue
      begun.push(progress)
      const before = latestOf(route, shard, progress, topics)
      if (before.length > 0) derivation.set(route, [...before, ...(derivation.get(route) ?? [])])
    }
  }
  return begun
}

/**
 * The records of a stream from one shard, with a marker in front of what comes in the place of a lost end where some lease has come to the stream from
 * elsewhere. `isOver`: nothing is left to tell of it once the broker has acknowledged these.
 */
export function tellAgain(
  route: Route,
  { k }: Shard,
  records: readonly DerivedRecord[],
  routes: Pick<Routes, 'isJoined'>,
  topic: string,
): { readonly records: readonly DerivedRecord[]; readonly isOver: boolean } {
  const { again, notBefore } = route.progress.get(k) ?? {}
  const begin = Math.max(again?.from ?? 0, notBefore ?? 0)
  const at = records.findIndex(({ shard, offset }) => shard.k === k && offset >= begin)
  const first = records[at]
  if (again === undefined || first === undefined) return { records, isOver: false }
  if (first.offset >= again.to || !routes.isJoined(route)) return { records, isOver: true }
  const reason = `partition ${k} of ${topic} has lost its end: what came in its place follows`
  const marker = resetMarker(first.shard, first.offset, reason, { topic, partition: k, offset: first.offset })
  return { records: records.toSpliced(at, 0, { ...marker, again }), isOver: true }
}

/** The same for all that is derived in one step; gives of which streams and shards nothing is left to tell. */
export function tellAllAgain(
  derivation: Derivation,
  shards: Iterable<Shard>,
  routes: Pick<Routes, 'isJoined'>,
  topics: Readonly<Record<Channel, string>>,
): Progress[] {
  const over: Progress[] = []
  for (const shard of shards) {
    if (Object.values(shard.logs).every(({ lostEnds }) => lostEnds === undefined)) continue
    for (const [route, derived] of derivation) {
      const progress = route.progress.get(shard.k)
      if (progress?.again === undefined) continue
      const { records, isOver } = tellAgain(route, shard, derived, routes, topics[route.channel])
      derivation.set(route, [...records])
      if (isOver) over.push(progress)
    }
  }
  return over
}

/**
 * The latest known values with which a stream begins, in the order in which they were published: those in front of all that is derived for it, which may be
 * more than is new, where its topic has lost what it held.
 */
export function latestOf(
  route: Route,
  shard: Shard,
  { notBefore: firstNew, behind = firstNew }: Progress,
  topics: Readonly<Record<Channel, string>>,
): DerivedRecord[] {
  const notBefore = Math.min(firstNew, behind)
  const partition = { shard, fixedTopic: topics[route.channel] }
  const found: DerivedRecord[] = []
  const { matches } = marketMatcher(route.spec)
  const { latest, books } = shard.tails[route.channel]
  const wanted = (exchange: string, symbol: string) => matches(route.channel, exchange, symbol)
  for (const source of books?.before(notBefore, wanted) ?? latest.values()) {
    const { exchange, symbol = '' } = source.event
    if (source.offset >= notBefore || !wanted(exchange, symbol)) continue
    if (!route.compiled.keeps(source.event)) continue
    derive(partition, source, [route], undefined, (_route, derived) => found.push(derived))
  }
  return found.sort((a, b) => a.offset - b.offset)
}

function add(derivation: Derivation, route: Route, record: DerivedRecord): void {
  const records = derivation.get(route)
  if (records) records.push(record)
  else derivation.set(route, [record])
}

/** A marker with a body: records are missing in front of it, and readers answer with `reset`. */
export function resetMarker(
  shard: Shard,
  offset: number,
  reason: string,
  position?: Position,
): DerivedRecord {
  const value = new TextEncoder().encode(JSON.stringify({ reset: reason }))
  const headers = { ...shard.markerHeaders, ...(position && { position }) }
  return { shard, offset, record: { key: null, value, headers } }
}
