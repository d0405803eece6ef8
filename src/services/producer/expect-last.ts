import { CHANNELS, type Channel, marketKey } from '../../domain/events.ts'
import { type Route, startOf } from './route.ts'
import type { Routes } from './routes.ts'
import type { Shard } from './shard.ts'
import type { Tail } from './tail.ts'

/** So many streams and records are compared to find what filters let through: more would hold a take-over up. */
const MOST_LOOKS = 1_000_000

/**
 * Takes note of what the topics of streams held at the checkpoint of a shard: one that does not hold it has lost its end. `isPassed`: whether an owner passed
 * a stream over, so that the checkpoint tells nothing of it.
 */
export function expectLast(
  shard: Shard,
  routes: Pick<Routes, 'table' | 'matching'>,
  isPassed: (route: Route) => boolean,
): void {
  for (const channel of CHANNELS) {
    const { before } = shard.tails[channel]
    const lastOfMarkets = new Map(before.map((record) => [marketKey(record.event), record]))
    for (const record of lastOfMarkets.values())
      for (const route of routes.matching(channel, record.event))
        if (route.spec.where === undefined && !isPassed(route)) expect(shard, route, record)
    // Of a market a filter may want an earlier one.
    const done = new Set<Route>()
    let looks = 0
    for (const record of hasFilter(routes, channel) ? before.toReversed() : []) {
      const matching = routes.matching(channel, record.event)
      looks += matching.length
      if (looks > MOST_LOOKS) break
      for (const route of matching) {
        if (route.spec.where === undefined || done.has(route) || isPassed(route)) continue
        if (expect(shard, route, record)) done.add(route)
      }
    }
  }
}

function hasFilter({ table }: Pick<Routes, 'table'>, channel: Channel): boolean {
  for (const { spec } of table.values()) if (spec.channel === channel && spec.where !== undefined) return true
  return false
}

/** Takes note of a record that the topic of a stream held; gives whether it did. */
function expect(shard: Shard, route: Route, { offset, at, event }: Tail['before'][number]): boolean {
  // What is in a window has no record yet.
  if (route.compiled.windows) return false
  const progress = route.progress.get(shard.k)
  if (!progress?.isCovered || progress.isRead) return false
  if (offset < startOf(route, shard) || progress.notBefore <= offset) return false
  if (!route.compiled.wants(event)) return false
  if (offset > (progress.last?.offset ?? -1)) progress.last = { offset, at }
  return true
}
