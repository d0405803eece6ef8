import type { StreamSpec } from '../domain/stream-spec.ts'
import { specKey } from '../domain/stream-spec.ts'
import type { Lease } from '../ports/streams.ts'
import type { LeaseRecord, RegistryRecord, StreamRecord } from './records.ts'

/** A stream as the registry has it, with the offset of the record that said so. */
export interface StreamEntry extends StreamRecord {
  readonly offset: number
}

/**
 * The state of streams and leases, folded from the records of `tapeline.registry`. Records of a lower leader's epoch after
 * one of a higher are ignored (R9).
 */
export class RegistryView {
  readonly #streams = new Map<string, StreamEntry>()
  readonly #leases = new Map<string, LeaseRecord>()
  readonly #leasesOfStream = new Map<string, Set<string>>()
  readonly #bySpec = new Map<string, string>()
  #leaderEpoch = -1
  #controlOffset = 0
  #nextOffset = 0
  readonly #leaderId: string

  /** `leaderId`: the transactional id whose claims are those of leaders. */
  constructor(leaderId: string) {
    this.#leaderId = leaderId
  }

  /** The next offset of the registry: everything before it is in the view. */
  get nextOffset(): number {
    return this.#nextOffset
  }

  /** The highest epoch of a leader: what a leader of a lower one says does not count (R9). */
  get leaderEpoch(): number {
    return this.#leaderEpoch
  }

  /** The leader's position in `tapeline.control`. */
  get controlOffset(): number {
    return this.#controlOffset
  }

  /** Takes a record in; gives the lease or stream that it changed, with the state before. */
  apply(offset: number, key: string | null, record: RegistryRecord | null): void {
    this.#nextOffset = offset + 1
    if (record === null) {
      if (key !== null) this.#remove(key)
      return
    }
    if (record.kind === 'claim') {
      if (record.transactionalId === this.#leaderId) this.#leaderEpoch = Math.max(this.#leaderEpoch, offset)
      return
    }
    if (record.epoch < this.#leaderEpoch) return
    this.#leaderEpoch = record.epoch
    if (record.kind === 'leader') this.#controlOffset = record.controlOffset
    else if (record.kind === 'stream') this.#setStream({ ...record, offset })
    else this.#setLease(record)
  }

  streams(): IterableIterator<StreamEntry> {
    return this.#streams.values()
  }

  stream(id: string): StreamEntry | undefined {
    return this.#streams.get(id)
  }

  /** The stream that serves a spec and is not ending. */
  streamOf(spec: StreamSpec): StreamEntry | undefined {
    const id = this.#bySpec.get(specKey(spec))
    return id === undefined ? undefined : this.#streams.get(id)
  }

  leases(): IterableIterator<LeaseRecord> {
    return this.#leases.values()
  }

  leaseRecord(id: string): LeaseRecord | undefined {
    return this.#leases.get(id)
  }

  /** How many live leases a stream has. */
  leaseCount(streamId: string): number {
    return this.#leasesOfStream.get(streamId)?.size ?? 0
  }

  /** A live lease whose stream can be read. */
  lease(id: string): Lease | undefined {
    const record = this.#leases.get(id)
    const stream = record && this.#streams.get(record.streamId)
    if (!record || !stream || stream.state !== 'ready') return undefined
    return {
      id,
      app: record.app,
      spec: stream.spec,
      ttlMs: record.ttlMs,
      topic: stream.topic,
      topicId: stream.topicId,
      opensTopic: record.opensTopic,
      createdAt: record.createdAt,
      standing: record.standing,
    }
  }

  #setStream(stream: StreamEntry): void {
    this.#streams.set(stream.id, stream)
    const key = specKey(stream.spec)
    if (stream.state !== 'ending') this.#bySpec.set(key, stream.id)
    else if (this.#bySpec.get(key) === stream.id) this.#bySpec.delete(key)
  }

  #setLease(lease: LeaseRecord): void {
    if (lease.state === 'ended') {
      this.#removeLease(lease.id)
      return
    }
    this.#leases.set(lease.id, lease)
    const leases = this.#leasesOfStream.get(lease.streamId) ?? new Set()
    this.#leasesOfStream.set(lease.streamId, leases.add(lease.id))
  }

  #removeLease(id: string): void {
    const lease = this.#leases.get(id)
    if (!lease) return
    this.#leases.delete(id)
    this.#leasesOfStream.get(lease.streamId)?.delete(id)
  }

  #remove(key: string): void {
    const id = key.slice(key.indexOf(':') + 1)
    if (key.startsWith('lease:')) this.#removeLease(id)
    if (!key.startsWith('stream:')) return
    const stream = this.#streams.get(id)
    this.#streams.delete(id)
    this.#leasesOfStream.delete(id)
    if (stream && this.#bySpec.get(specKey(stream.spec)) === id) this.#bySpec.delete(specKey(stream.spec))
  }
}
