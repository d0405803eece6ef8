import type { Ownership } from '../../control/claim.ts'
import { readRanges } from '../../control/read-range.ts'
import { CHANNELS, type Channel } from '../../domain/events.ts'
import type { TopicDescription } from '../../ports/broker.ts'
import { CheckpointReader } from './checkpoint-reader.ts'
import { judgeLogs, type LostEnds } from './lost-logs.ts'
import type { ProducerParts } from './parts.ts'
import { Shard } from './shard.ts'
import { beginTaking, type FormerOwnership, limitPending, type Taking, takeRecord } from './taking.ts'

/** Shards that were claimed, the fixed topics as the broker shows them, and where the own markers lie there. */
export interface Claimed {
  readonly owners: ReadonlyMap<number, Ownership>
  readonly former: ReadonlyMap<number, FormerOwnership>
  readonly shown: ReadonlyMap<string, TopicDescription>
  readonly markers: ReadonlyMap<number, Readonly<Record<Channel, number>>>
}

/**
 * Reads the fixed topics of shards from so many records in front of their checkpoints up to the own markers. `wentOn`: where it is known already that a
 * log went on which has lost its end.
 */
export async function readTail(
  producer: ProducerParts,
  { owners, former, shown, markers }: Claimed,
  checkpoints: ReadonlyMap<number, CheckpointReader>,
  wentOn: ReadonlyMap<number, LostEnds>,
  back: number,
  signal: AbortSignal,
): Promise<readonly Taking[]> {
  const { topics, broker } = producer
  const taking = new Map<number, Taking>()
  for (const [k, ownership] of owners) {
    const { checkpoint, windows, streamWindows, end } = checkpoints.get(k) ?? new CheckpointReader()
    const ofShard = markers.get(k) as Record<Channel, number>
    const own = former.get(k)
    const known = {
      epoch: ownership.epoch,
      expected: own?.expected,
      lostFrom: wentOn.get(k) ?? {},
    }
    const { restored, logs, lost } = judgeLogs(producer, k, checkpoint, shown, ofShard, known)
    const shard = new Shard(k, ownership, restored, ofShard, windows, logs, lost, streamWindows)
    shard.checkpointsEnd = end
    taking.set(k, beginTaking(shard, own))
  }

  const channelOf = new Map(CHANNELS.map((channel) => [topics[channel], channel]))
  const find = (topic: string, partition: number) => ({
    channel: channelOf.get(topic),
    entry: taking.get(partition),
  })
  const ranges = [...taking.values()].flatMap(({ shard }) =>
    CHANNELS.map((channel) => {
      const { derivedTo, marker } = shard.tails[channel]
      return {
        ...{ topic: topics[channel], partition: shard.k },
        ...{ offset: Math.max(0, derivedTo - back), end: marker + 1 },
      }
    }),
  )
  /** Streams that the checkpoint had further back are behind now, and find the hole when they read on. */
  const leaveHole = (topic: string, partition: number, next: number): void => {
    const { channel, entry } = find(topic, partition)
    if (channel === undefined || entry === undefined) return
    // What this process has in hand may lie among what is gone, and others may have read it: it is judged anew.
    if (entry.former !== undefined && next > entry.former.expected[channel]) entry.isInterrupted = true
    const tail = entry.shard.tails[channel]
    if (next <= tail.derivedTo) return
    if (channel === 'trade') {
      entry.goneBefore = next
      entry.isOfUnknownAge = entry.shard.restored.ownedSince === undefined
    }
    tail.pending = []
    tail.derivedTo = next
  }
  await readRanges(
    broker,
    ranges,
    (fetch) => {
      const { channel, entry } = find(fetch.topic, fetch.partition)
      if (channel === undefined || entry === undefined) return
      for (const record of fetch.records) takeRecord(producer, entry, channel, record)
    },
    signal,
    (topic, partition, earliest) => leaveHole(topic, partition, earliest),
    ({ topic, partition, nextOffset }) => {
      const { channel, entry } = find(topic, partition)
      if (channel && entry && nextOffset <= entry.shard.tails[channel].derivedTo) entry.inFront[channel].rot()
      leaveHole(topic, partition, nextOffset)
    },
  )
  for (const { shard, inFront, goneBefore, isOfUnknownAge } of taking.values()) {
    for (const channel of shard.lost.keys()) shard.noteInFront(channel, inFront[channel].highest)
    // Nothing is left of those who owned it before: trades may be missing since ever.
    if (isOfUnknownAge && shard.ownedSince(true) < 0) shard.noteOwner(false, 0)
    for (const channel of CHANNELS) limitPending(shard.tails[channel])
    const unknownTo = checkpoints.get(shard.k)?.unknownTo
    if (unknownTo !== undefined) shard.missTrades(Math.min(unknownTo, producer.now()) * 1_000)
    if (goneBefore !== undefined) shard.missTrades(producer.now() * 1_000)
  }
  return [...taking.values()]
}
