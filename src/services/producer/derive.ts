import type { Channel } from '../../domain/events.ts'
import type { Position } from '../../domain/record.ts'
import { matchesMarket } from '../../domain/routing.ts'
import type { OutgoingRecord } from '../../ports/broker.ts'
import type { Progress, Route, Routes } from './routes.ts'
import type { PublishedRecord, Shard } from './shard.ts'

/** A record on its way into a dynamic topic, with the shard and fixed offset that caused it (R4). */
export interface DerivedRecord {
  readonly shard: Shard
  readonly offset: number
  readonly record: OutgoingRecord
}

/** What is derived in one step, by stream. */
export type Derivation = Map<Route, DerivedRecord[]>

/** The record of a dynamic topic that a fixed record causes. */
export function derivedRecord(shard: Shard, fixedTopic: string, source: PublishedRecord): DerivedRecord {
  const position = { topic: fixedTopic, partition: shard.k, offset: source.offset }
  const record = {
    key: `${source.exchange}:${source.symbol}`,
    value: source.value,
    headers: { ...shard.headers, position },
  }
  return { shard, offset: source.offset, record }
}

/** Derives all that the fixed topics have in hand, for every stream that is level with them. */
export function deriveLive(
  shards: Iterable<Shard>,
  routes: Routes,
  topics: Readonly<Record<Channel, string>>,
): Derivation {
  const derivation: Derivation = new Map()
  for (const shard of shards) {
    for (const [channel, tail] of Object.entries(shard.tails) as [Channel, Shard['tails'][Channel]][]) {
      for (const source of tail.pending) {
        for (const route of routes.table.match(channel, source.exchange, source.symbol)) {
          const progress = route.progress.get(shard.k)
          if (progress === undefined || progress.behind !== undefined || source.offset < progress.notBefore)
            continue
          add(derivation, route, derivedRecord(shard, topics[channel], source))
        }
      }
    }
  }
  return derivation
}

/** Puts the latest known values in front, for streams of quotes, candles or books that begin (R11). */
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

/** The latest known values with which a stream begins, in the order in which they were published. */
export function latestOf(
  route: Route,
  shard: Shard,
  { notBefore }: Progress,
  topics: Readonly<Record<Channel, string>>,
): DerivedRecord[] {
  return [...shard.tails[route.channel].latest.values()]
    .filter(({ offset }) => offset < notBefore)
    .filter(({ exchange, symbol }) => matchesMarket(route.spec, route.channel, exchange, symbol))
    .sort((a, b) => a.offset - b.offset)
    .map((source) => derivedRecord(shard, topics[route.channel], source))
}

function add(derivation: Derivation, route: Route, record: DerivedRecord): void {
  const records = derivation.get(route)
  if (records) records.push(record)
  else derivation.set(route, [record])
}

/** A marker with a body, in front of which records are missing: readers answer it with `reset`. */
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
