import { withDeadline } from '../../control/deadline.ts'
import { readRanges } from '../../control/read-range.ts'
import { DYNAMIC_PREFIX } from '../../control/topics.ts'
import { counts, emptyMemory } from '../../domain/reader-rules.ts'
import type { OutgoingRecord } from '../../ports/broker.ts'
import type { ShardOwnership } from './ownership.ts'
import type { ProducerParts } from './parts.ts'
import type { Route } from './routes.ts'
import type { Shard } from './shard.ts'

/** How long one publish to dynamic topics may take: so long may one that cannot be written hold up the fixed ones (R3). */
export const SEND_TIMEOUT_MS = 5_000
/** How much earlier than the checkpoint's time a dynamic topic is read for what it holds (R4). */
const SLACK_MS = 60_000
/** And how many records before that, to learn the epochs that count there. */
const SLACK_RECORDS = 2_000

/**
 * Prepares dynamic topics for the first records of this owner (R8): a marker of each shard, and what the topic holds already.
 * Gives the markers that are still to be written in front of the records. A stream that started behind this owner's own
 * marker cannot hold anything of it, so its topic need not be read and its marker travels with its records.
 */
export async function prepareTopics(
  parts: ProducerParts,
  ownership: ShardOwnership,
  wanted: readonly Route[],
  signal: AbortSignal,
): Promise<Map<Route, readonly OutgoingRecord[]>> {
  const markers = new Map<Route, readonly OutgoingRecord[]>()
  const toRead = new Map<Route, Shard[]>()
  for (const route of wanted) {
    const unprepared = [...ownership.shards.values()].filter(
      (shard) => route.progress.get(shard.k)?.prepared === false,
    )
    if (unprepared.length === 0) continue
    const old = unprepared.filter((shard) => (route.start[shard.k] ?? 0) <= shard.tails[route.channel].marker)
    if (old.length > 0) toRead.set(route, unprepared)
    else markers.set(route, unprepared.map(markerOf))
  }
  if (toRead.size > 0) await readHeld(parts, toRead, signal)
  return markers
}

function markerOf(shard: Shard): OutgoingRecord {
  return { key: null, value: null, headers: shard.markerHeaders }
}

async function readHeld(
  { broker }: ProducerParts,
  toRead: ReadonlyMap<Route, readonly Shard[]>,
  signal: AbortSignal,
): Promise<void> {
  const alive = new Map((await broker.listTopics(DYNAMIC_PREFIX, signal)).map((topic) => [topic.name, topic]))
  const routes = [...toRead.keys()].filter((route) => alive.has(route.topic))
  const entries = routes.map((route) => ({
    topic: route.topic,
    partition: 0,
    records: (toRead.get(route) ?? []).map(markerOf),
  }))
  const acks = await withDeadline(signal, SEND_TIMEOUT_MS, (deadline) => broker.publish(entries, deadline))
  const ranges = await Promise.all(
    routes.map(async (route, i) => {
      const oldest = Math.min(...(toRead.get(route) ?? []).map((shard) => shard.restored.at))
      const earliest = alive.get(route.topic)?.offsets[0]?.earliest ?? 0
      const since = await broker.offsetAt(route.topic, 0, Math.max(0, oldest - SLACK_MS), signal)
      const offset = Math.max(earliest, since - SLACK_RECORDS)
      return { topic: route.topic, partition: 0, offset, end: (acks[i]?.baseOffset ?? 0) + 1 }
    }),
  )
  const byTopic = new Map(routes.map((route) => [route.topic, { route, memory: emptyMemory() }]))
  await readRanges(
    broker,
    ranges,
    ({ topic, records }) => {
      const known = byTopic.get(topic)
      if (known) for (const { headers } of records) counts(known.memory, headers)
    },
    signal,
  )
  for (const { route, memory } of byTopic.values()) {
    for (const shard of toRead.get(route) ?? []) {
      const progress = route.progress.get(shard.k)
      if (progress === undefined) continue
      progress.held = memory.positions[shard.k]?.[0] ?? -1
      progress.prepared = true
    }
  }
}
