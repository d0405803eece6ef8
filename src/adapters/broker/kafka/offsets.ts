import { setTimeout as delay } from 'node:timers/promises'
import { TapelineError } from '../../../errors.ts'
import type { Cluster, TopicState } from './cluster.ts'

/** What is asked for instead of a time. Source: https://kafka.apache.org/protocol#The_Messages_ListOffsets */
export const OFFSET_AT = { earliest: -2n, end: -1n } as const

/** Ends are where readers stop: in front of a transaction that is open. */
const READ_COMMITTED = 1
const TOPIC_FORBIDDEN = 29
const UNKNOWN_TOPIC = 3
const LOOK_AGAIN_MS = 50

/**
 * An offset of each partition of topics: by a time in milliseconds, or one of `OFFSET_AT`; -1 where no record is so late. One
 * request to each broker. Topics that are gone meanwhile are left out.
 */
export async function listOffsets(
  cluster: Cluster,
  states: readonly TopicState[],
  at: bigint,
  signal: AbortSignal,
): Promise<Map<string, number[]>> {
  const offsets = new Map(states.map(({ name, leaders }) => [name, leaders.map(() => -1)]))
  let missing = states.flatMap(({ name, leaders }) =>
    leaders.map((leader, partition) => ({ name, partition, leader })),
  )
  while (missing.length > 0) {
    const failed: typeof missing = []
    const byLeader = Map.groupBy(missing, ({ leader }) => leader)
    await Promise.all(
      [...byLeader].map(async ([leader, partitions]) => {
        if (leader === -1) return failed.push(...partitions)
        const topics = [...Map.groupBy(partitions, ({ name }) => name)].map(([name, own]) => ({
          name,
          partitions: own.map(({ partition }) => ({
            partitionIndex: partition,
            currentLeaderEpoch: -1,
            timestamp: at,
          })),
        }))
        const answer = await cluster.request('listOffsets', leader, [-1, READ_COMMITTED, topics], signal)
        for (const topic of answer.topics) {
          for (const { partitionIndex, errorCode, offset } of topic.partitions) {
            const own = offsets.get(topic.name)
            if (errorCode === TOPIC_FORBIDDEN)
              throw new TapelineError('BROKER_FORBIDDEN', `the user may not read the topic ${topic.name}`)
            if (errorCode !== 0)
              failed.push({
                name: topic.name,
                partition: partitionIndex,
                leader: errorCode === UNKNOWN_TOPIC ? -1 : leader,
              })
            else if (own !== undefined) own[partitionIndex] = Number(offset)
          }
        }
      }),
    )
    if (failed.length === 0) break
    await delay(LOOK_AGAIN_MS, undefined, { signal })
    const names = [...new Set(failed.map(({ name }) => name))]
    const now = await cluster.topics(names, signal)
    for (const name of names) if (!now.has(name)) offsets.delete(name)
    missing = failed.flatMap(({ name, partition }) => {
      const leader = now.get(name)?.leaders[partition]
      return leader === undefined ? [] : [{ name, partition, leader }]
    })
  }
  return offsets
}
