import { delay } from '../../../async/timers.ts'
import { partitionKey } from '../../../domain/record.ts'
import type { Cluster } from './cluster.ts'
import { errorOfCode, isRefusal } from './error-table.ts'
import type { Assigned } from './fetch-lane.ts'
import type { EpochEnd } from './leader-epochs.ts'
import type { TopicState } from './topic-view.ts'

/** What is asked for instead of a time. Source: https://kafka.apache.org/protocol#The_Messages_ListOffsets */
export const OFFSET_AT = { earliest: -2n, end: -1n } as const

/** The end is then the last stable offset: readers of committed records come no further. */
const READ_COMMITTED = 1
const CONSUMER = -1
const ANY_EPOCH = -1
const LOOK_AGAIN_MS = 20

interface Place {
  readonly topic: string
  readonly partition: number
}

/** All partitions of topics. */
export function placesOf(states: Iterable<TopicState>): Place[] {
  return [...states].flatMap(({ name, leaders }) =>
    leaders.map((_, partition) => ({ topic: name, partition })),
  )
}

/**
 * An offset of each partition, by `partitionKey`: by a time in milliseconds, or one of `OFFSET_AT`; -1 where no record is so late.
 * One request to each broker; a partition without a leader is waited for. Those of topics that are gone are left out.
 */
export async function listOffsets(
  cluster: Cluster,
  places: readonly Place[],
  at: bigint,
  signal: AbortSignal,
): Promise<Map<string, number>> {
  const offsets = new Map<string, number>()
  for (let missing = places; missing.length > 0; ) {
    const byLeader = Map.groupBy(
      missing,
      ({ topic, partition }) => cluster.known(topic)?.leaders[partition] ?? -1,
    )
    await Promise.all(
      [...byLeader].map(([leader, own]) => askLeader(cluster, leader, own, at, signal, offsets)),
    )
    missing = missing.filter((place) => !offsets.has(partitionKey(place)))
    if (missing.length === 0) break
    await delay(LOOK_AGAIN_MS, signal)
    const found = await cluster.topics([...new Set(missing.map(({ topic }) => topic))], signal)
    missing = missing.filter(({ topic, partition }) => found.get(topic)?.leaders[partition] !== undefined)
  }
  return offsets
}

async function askLeader(
  cluster: Cluster,
  leader: number,
  places: readonly Place[],
  timestamp: bigint,
  signal: AbortSignal,
  offsets: Map<string, number>,
): Promise<void> {
  if (leader === -1) return
  const topics = [...Map.groupBy(places, ({ topic }) => topic)].map(([name, own]) => ({
    name,
    partitions: own.map(({ partition }) => ({
      partitionIndex: partition,
      currentLeaderEpoch: ANY_EPOCH,
      timestamp,
    })),
  }))
  const answer = await cluster.request('listOffsets', leader, [CONSUMER, READ_COMMITTED, topics], signal)
  for (const { name: topic, partitions } of answer.topics) {
    for (const { partitionIndex: partition, errorCode, offset } of partitions) {
      if (isRefusal(errorCode)) throw errorOfCode(errorCode, `offsets of the topic ${topic} cannot be read`)
      if (errorCode === 0) offsets.set(partitionKey({ topic, partition }), Number(offset))
    }
  }
}

/**
 * The end of the last fetched epoch of each partition in the log of its leader, by `partitionKey`, with the protocol's error code; those
 * that the leader says nothing of are left out.
 */
export async function epochEnds(
  cluster: Cluster,
  leader: number,
  assigned: readonly Assigned[],
): Promise<Map<string, EpochEnd & { readonly errorCode: number }>> {
  const topics = [...Map.groupBy(assigned, ({ topic }) => topic)].map(([name, own]) => ({
    name,
    partitions: own.map(({ partition, leaderEpoch, epochs }) => ({
      partitionIndex: partition,
      currentLeaderEpoch: leaderEpoch,
      leaderEpoch: epochs.last,
    })),
  }))
  const answer = await cluster.request('offsetForLeaderEpoch', leader, [CONSUMER, topics])
  return new Map(
    answer.topics.flatMap(({ topic, partitions }) =>
      partitions.map(({ partition, errorCode, leaderEpoch, endOffset }) => [
        partitionKey({ topic, partition }),
        { errorCode, epoch: leaderEpoch, endOffset: Number(endOffset) },
      ]),
    ),
  )
}
