import {
  decodeRegistry,
  type LeaseRecord,
  type RegistryRecord,
  type StreamRecord,
} from '../../src/control/registry-records.ts'
import { toTapelineError } from '../../src/errors.ts'
import type { MemoryBroker } from './memory-broker.ts'
import { NAMES } from './names.ts'

/** A stream as the registry has had it. */
export interface RegisteredStream
  extends Pick<StreamRecord, 'topic' | 'topicId' | 'spec' | 'start' | 'since'> {
  state: StreamRecord['state'] | 'gone'
  /** When the registry ended it: what comes later may be of an owner that has not heard of it, and is read by nobody. */
  endedAt: number | undefined
  /** The live leases. */
  readonly leases: Set<string>
}

/** All that the registry ever said, folded by the rule of its readers (R9). */
export interface Registered {
  readonly streams: ReadonlyMap<string, RegisteredStream>
  /** The last word on each lease, with all the topics that it has ever left. */
  readonly leases: ReadonlyMap<string, LeaseRecord>
}

export function readRegistry(broker: MemoryBroker): Registered {
  const streams = new Map<string, RegisteredStream>()
  const leases = new Map<string, string>()
  const records = new Map<string, LeaseRecord>()
  let leaderEpoch = -1
  const endLease = (id: string): void => {
    streams.get(leases.get(id) ?? '')?.leases.delete(id)
    leases.delete(id)
  }
  for (const { key, value, offset, timestamp } of broker.topics.get(NAMES.registry)?.partitions[0]?.archive ??
    []) {
    if (value === null) {
      const [kind, id = ''] = (key ?? '').split(/:(.*)/s)
      const stream = streams.get(id)
      if (kind === 'stream' && stream) stream.state = 'gone'
      if (kind === 'lease') endLease(id)
      continue
    }
    const record = decode(value)
    if (record === undefined) continue
    if (record.kind === 'claim') {
      if (record.transactionalId === NAMES.leaderId) leaderEpoch = Math.max(leaderEpoch, offset)
      continue
    }
    if (record.epoch < leaderEpoch) continue
    leaderEpoch = record.epoch
    if (record.kind === 'stream') {
      const { topic, topicId, spec, start, state, since } = record
      const former = streams.get(record.id)
      const endedAt = state === 'ending' || state === 'kept' ? (former?.endedAt ?? timestamp) : undefined
      const live = former?.leases ?? new Set()
      streams.set(record.id, {
        ...{ topic, topicId, spec, start, state, endedAt, leases: live },
        ...(since !== undefined && { since }),
      })
    } else if (record.kind === 'lease') {
      if (record.state === 'ended') endLease(record.id)
      else {
        endLease(record.id)
        const before = records.get(record.id)?.former ?? []
        const now = new Set(record.former?.map(({ streamId }) => streamId))
        const gone = before.filter(({ streamId }) => !now.has(streamId))
        records.set(record.id, { ...record, former: [...gone, ...(record.former ?? [])] })
        leases.set(record.id, record.streamId)
        streams.get(record.streamId)?.leases.add(record.id)
      }
    }
  }
  return { streams, leases: records }
}

function decode(value: Uint8Array): RegistryRecord | undefined {
  try {
    return decodeRegistry(value)
  } catch (error) {
    if (toTapelineError(error).code === 'INTERNAL') throw error
    return undefined
  }
}
