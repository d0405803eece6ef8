import { deadlineAfter, delay } from '../../async/timers.ts'
import { lostFromOf } from '../../domain/fixed-markers.ts'
import { partitionKey } from '../../domain/record.ts'
import { toTapelineError } from '../../errors.ts'
import type { PartitionFetch, PollOptions, Reader, TopicPartition } from '../../ports/broker.ts'
import type { FixedFetch } from '../../ports/pipeline.ts'
import type { Claim } from '../../ports/store.ts'
import { epochsBefore } from './lost-end.ts'
import type { ConsumerFixedParts } from './parts.ts'

const CLOSE_MS = 2_000

/** Where the reader stands in a partition. */
interface Position extends TopicPartition {
  offset: number
  /** What it has read without a step begins here. */
  since: number
}

/** The reader of the claimed partitions, and where it stands in each. */
export interface Reading {
  /** Reads a partition from its claim on; where its log has lost its end and went on before, from there, after that is told. */
  start(claim: Claim, wentOnAt?: number): void
  stop(partition: TopicPartition): void
  poll(options: PollOptions, signal: AbortSignal): Promise<readonly FixedFetch[]>
  close(): Promise<void>
}

/** `lose` hears of each topic that is gone. */
export function createReading(
  { broker, log, meter }: ConsumerFixedParts,
  lose: (topic: string) => void,
): Reading {
  let reader: Reader | undefined
  const positions = new Map<string, Position>()
  /** Partitions in which the reader stands elsewhere than it should. */
  const moved = new Set<string>()
  let dropped: TopicPartition[] = []
  /** What is still to be told of logs that have lost their ends. */
  const lost = new Map<string, FixedFetch & { kind: 'truncated' }>()

  /** Puts the reader where it should be. */
  const settle = async (signal: AbortSignal): Promise<Reader> => {
    reader ??= await broker.openReader(signal)
    const gone = dropped
    dropped = []
    if (gone.length > 0) await reader.unassign(gone, signal)
    const targets = [...moved].flatMap((key) => positions.get(key) ?? [])
    for (const [topic, own] of Map.groupBy(targets, (target) => target.topic)) {
      try {
        await reader.assign(
          own.map((target) => ({ ...target })),
          signal,
        )
      } catch (error) {
        // A topic that is gone holds up no other.
        if (toTapelineError(error).code !== 'TOPIC_UNKNOWN') throw error
        lose(topic)
      }
    }
    moved.clear()
    return reader
  }

  /** After a poll that failed nobody knows where the reader stands: a new one begins where the last good poll ended. */
  const discard = async (): Promise<void> => {
    const former = reader
    reader = undefined
    dropped = []
    for (const key of positions.keys()) moved.add(key)
    await former?.close(deadlineAfter(CLOSE_MS)).catch((error: unknown) => {
      log.debug({ code: toTapelineError(error).code }, 'a reader did not close')
    })
  }

  /** Goes back in a log that has lost its end, and tells that with the next poll. */
  const goBack = ({ topic, partition }: TopicPartition, from: number, earliest: number): void => {
    const key = partitionKey({ topic, partition })
    positions.set(key, { topic, partition, offset: earliest, since: earliest })
    lost.set(key, { kind: 'truncated', topic, partition, earliest, position: from, from })
    moved.add(key)
  }

  return {
    start(claim, wentOnAt) {
      const { topic, partition, nextOffset: offset } = claim
      const key = partitionKey(claim)
      lost.delete(key)
      if (wentOnAt === undefined) positions.set(key, { topic, partition, offset, since: offset })
      else goBack(claim, offset, wentOnAt)
      moved.add(key)
      dropped = dropped.filter((each) => partitionKey(each) !== key)
    },
    stop({ topic, partition }) {
      const key = partitionKey({ topic, partition })
      if (positions.delete(key)) dropped.push({ topic, partition })
      lost.delete(key)
      moved.delete(key)
    },
    async poll(options, signal) {
      const result: FixedFetch[] = []
      if (positions.size === 0) {
        await delay(options.waitMs, signal)
        return result
      }
      try {
        const before = new Map(positions)
        const current = await settle(signal)
        if (lost.size > 0) {
          const told = [...lost.values()]
          const epochs = await epochsBefore(broker, told, signal)
          // What was given up, or claimed anew meanwhile, is not told, or told of the new claim.
          const current = told.filter((each) => lost.get(partitionKey(each)) === each)
          for (const each of current) lost.delete(partitionKey(each))
          return current.map((each) => ({ ...each, epochs: epochs.get(partitionKey(each)) ?? {} }))
        }
        for (const fetch of await current.poll(options, signal)) {
          if (fetch.kind === 'deleted') {
            lose(fetch.topic)
            continue
          }
          const key = partitionKey(fetch)
          const position = positions.get(key)
          // The partition was given up during the poll, or claimed anew: the fetch belongs to the former position.
          if (position === undefined || before.get(key) !== position) continue
          const wentOnAt = wentOn(fetch, position)
          if (wentOnAt !== undefined) {
            goBack(position, position.offset, wentOnAt)
            continue
          }
          result.push({ ...fetch, from: position.offset })
          position.offset = fetch.kind === 'truncated' ? fetch.earliest : fetch.nextOffset
          position.since = Math.min(position.since, position.offset)
          if (fetch.kind === 'truncated') continue
          const labels = { topic: fetch.topic, partition: String(fetch.partition) }
          meter.gauge('consumer_lag_records', fetch.endOffset - fetch.nextOffset, labels)
        }
      } catch (error) {
        await discard()
        throw error
      }
      return result
    },
    async close() {
      await reader?.close(deadlineAfter(CLOSE_MS))
    },
  }
}

/**
 * Where the log went on that has lost its end: in front of the position, or in front of what was read, as the marker says of an owner that had written there already. What
 * lies there was written under the former marker, so that nothing in front of the position told of it.
 */
function wentOn(fetch: PartitionFetch, { offset, since }: Position): number | undefined {
  if (fetch.kind === 'truncated') return fetch.earliest < offset ? fetch.earliest : undefined
  if (fetch.kind !== 'records') return undefined
  let earliest = since
  for (const record of fetch.records) earliest = Math.min(earliest, lostFromOf(record) ?? since)
  return earliest < since ? earliest : undefined
}
