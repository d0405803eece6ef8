import type { Channel } from '../domain/events.ts'
import type { StreamSpec } from '../domain/stream-spec.ts'
import { specKey } from '../domain/stream-spec.ts'
import type { FormerTopic, Lease } from '../ports/streams.ts'
import { KeyView } from './key-view.ts'
import type { ToldPrefixes } from './names.ts'
import type {
  FormerStream,
  LeaseRecord,
  RegistryRecord,
  StreamRecord,
  WebhookRecord,
} from './registry-records.ts'

/** A stream as the registry has it, with the offset of the record that said so. */
export interface StreamEntry extends StreamRecord {
  readonly offset: number
}

/** Begins the key of a batch of which the keys are not known. */
const BATCH_PREFIX = 'offset:'
/** So many leases and webhooks that have ended are remembered. */
const MOST_ENDED = 10_000

/** A record that this process does not understand (R23). */
export interface Unreadable {
  readonly offset: number
  readonly reason: string
}

/**
 * The state of streams and leases, folded from the records of `tapeline.registry`. Records of a lower leader's epoch after
 * one of a higher are ignored (R9). What is not understood is known by its key alone: nothing of it is served from what was known
 * before, and while there is any this process must not lead (R23). It is long, and one file: a record changes several of its maps at once.
 */
export class RegistryView {
  readonly #streams = new Map<string, StreamEntry>()
  readonly #leases = new Map<string, LeaseRecord>()
  /** The offset of the last record of each lease. */
  readonly #leaseOffsets = new Map<string, number>()
  readonly #leasesOfStream = new Map<string, Set<string>>()
  /** The leases that have had a stream, by the stream. */
  readonly #formerLeases = new Map<string, Set<string>>()
  /** Leases of which some former stream is still on its way to the seam. */
  readonly #moving = new Set<string>()
  /** The highest claim of each transactional id. */
  readonly #claims = new Map<string, number>()
  readonly #bySpec = new Map<string, string>()
  readonly keys = new KeyView()
  readonly #webhooks = new Map<string, WebhookRecord>()
  /** The applications of leases and webhooks that have ended lately, the oldest first. */
  readonly #ended = new Map<string, string>()
  /** The last records of leases that have ended and stand in the registry still, the oldest first. */
  readonly #endedRecords = new Map<string, LeaseRecord>()
  readonly #unreadable = new Map<string, Unreadable>()
  #leaderEpoch = -1
  #controlOffset = 0
  #prefixes: ToldPrefixes = {}
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

  /** The prefixes of the platform whose registry this is, as its leaders told them. */
  get prefixes(): ToldPrefixes {
    return this.#prefixes
  }

  /** The leader's position in `tapeline.control`. */
  get controlOffset(): number {
    return this.#controlOffset
  }

  /** The last records of their keys that this process does not understand. */
  get unreadable(): ReadonlyMap<string, Unreadable> {
    return this.#unreadable
  }

  /** Everything before this offset is in the view; after it lies a batch that nobody can read, of which the keys are not known. */
  get knownTo(): number {
    let known = this.#nextOffset
    for (const [key, { offset }] of this.#unreadable)
      if (key.startsWith(BATCH_PREFIX)) known = Math.min(known, offset)
    return known
  }

  /** The streams whose last record is not understood. */
  *unreadableStreams(): Generator<{ readonly id: string } & Unreadable> {
    for (const [key, found] of this.#unreadable)
      if (key.startsWith('stream:')) yield { id: key.slice('stream:'.length), ...found }
  }

  /** Why a lease cannot be served here: it, or its stream, is not understood. Undefined where that is no reason. */
  withheld(leaseId: string): Unreadable | undefined {
    const stream = this.#leases.get(leaseId)?.streamId
    const own = this.#unreadable.get(`lease:${leaseId}`) ?? this.#unreadable.get(`stream:${stream}`)
    if (own !== undefined || this.lease(leaseId) !== undefined || this.#ended.has(leaseId)) return own
    // One that is not known may lie where nobody can read.
    for (const [key, found] of this.#unreadable) if (key.startsWith(BATCH_PREFIX)) return found
    return undefined
  }

  /** Takes note of a record, or of a batch without known keys, that is not understood. Gives the leases that it withholds. */
  withhold(offset: number, key: string | null, reason: string): readonly Lease[] {
    this.#nextOffset = offset + 1
    const id = key?.slice(key.indexOf(':') + 1) ?? ''
    if (key === `claim:${this.#leaderId}`) this.#leaderEpoch = Math.max(this.#leaderEpoch, offset)
    const leases = key?.startsWith('stream:') ? [...(this.#leasesOfStream.get(id) ?? [])] : [id]
    const served = leases.flatMap((leaseId) => this.lease(leaseId) ?? [])
    if (key?.startsWith('lease:')) this.#removeLease(id)
    if (key?.startsWith('webhook:')) this.#webhooks.delete(id)
    if (key?.startsWith('key:')) this.keys.delete(id)
    // Its leases stay known, so that who asks for one is told why it is not served.
    if (key?.startsWith('stream:')) this.#removeStream(id)
    this.#unreadable.set(key ?? `${BATCH_PREFIX}${offset}`, { offset, reason })
    return served
  }

  /** Takes a record in that is understood, or a tombstone (null). */
  apply(offset: number, key: string | null, record: RegistryRecord | null): void {
    this.#nextOffset = offset + 1
    if (key !== null) this.#unreadable.delete(key)
    if (record === null) {
      if (key !== null) this.#remove(key)
      return
    }
    if (record.kind === 'claim') {
      this.#claims.set(record.transactionalId, offset)
      if (record.transactionalId === this.#leaderId) this.#leaderEpoch = Math.max(this.#leaderEpoch, offset)
      return
    }
    if (record.epoch < this.#leaderEpoch) return
    this.#leaderEpoch = record.epoch
    if (record.kind === 'leader') {
      this.#controlOffset = record.controlOffset
      const { prefix = this.#prefixes.prefix, dynamicPrefix = this.#prefixes.dynamicPrefix } = record
      this.#prefixes = { prefix, dynamicPrefix }
    } else if (record.kind === 'stream') this.#setStream({ ...record, offset })
    else if (record.kind === 'webhook') this.#setWebhook(record)
    else if (record.kind === 'key') this.keys.set(record)
    else this.#setLease(record, offset)
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

  /** How many there are. */
  get counts(): { readonly leases: number; readonly streams: number } {
    return { leases: this.#leases.size, streams: this.#streams.size }
  }

  leaseRecord(id: string): LeaseRecord | undefined {
    return this.#leases.get(id)
  }

  /** The webhooks that have not ended. */
  webhooks(): IterableIterator<WebhookRecord> {
    return this.#webhooks.values()
  }

  webhook(id: string): WebhookRecord | undefined {
    return this.#webhooks.get(id)
  }

  /** Whose lease or webhook it was that has ended lately. */
  ownerOfEnded(id: string): string | undefined {
    return this.#ended.get(id)
  }

  /** The records of leases that have ended and stand in the registry still, without the last so many. */
  endedBefore(last: number): readonly LeaseRecord[] {
    return [...this.#endedRecords.values()].slice(0, Math.max(0, this.#endedRecords.size - last))
  }

  /** The live leases of a stream. */
  *leasesOf(streamId: string): Generator<LeaseRecord> {
    for (const id of this.#leasesOfStream.get(streamId) ?? []) {
      const lease = this.#leases.get(id)
      if (lease !== undefined) yield lease
    }
  }

  /** How many live leases a stream has. */
  leaseCount(streamId: string): number {
    return this.#leasesOfStream.get(streamId)?.size ?? 0
  }

  /** The epoch of the last owner of a transactional id; -1 where nobody has claimed it. */
  claimOf(transactionalId: string): number {
    return this.#claims.get(transactionalId) ?? -1
  }

  /** Whether leases have had a stream and moved on: `open` while one of them waits for all in front of its seam. */
  formerUse(streamId: string): 'open' | 'closed' | undefined {
    const leases = this.#formerLeases.get(streamId)
    if (leases === undefined) return undefined
    for (const id of leases)
      for (const former of this.#leases.get(id)?.former ?? [])
        if (former.streamId === streamId && former.end === null) return 'open'
    return 'closed'
  }

  /** The leases that have had a stream, and that can be read. */
  leasesAfter(streamId: string): readonly Lease[] {
    return [...(this.#formerLeases.get(streamId) ?? [])].flatMap((id) => this.lease(id) ?? [])
  }

  /** What waits for all in front of a seam: leases that move, and the streams that they leave. `offset`: of the record that says so. */
  *openSeams(): Generator<{ readonly leaseId: string; readonly offset: number } & FormerStream> {
    for (const leaseId of this.#moving)
      for (const former of this.#leases.get(leaseId)?.former ?? [])
        if (former.end === null)
          yield { leaseId, offset: this.#leaseOffsets.get(leaseId) ?? this.#nextOffset, ...former }
  }

  /**
   * Where streams of a channel begin, and where leases have come to a topic or left one: places in the fixed topic, per partition. `offset`: that of the
   * record which says so. Whoever wrote it had looked before at the ends of the fixed topic, or at what it holds.
   */
  *placesIn(channel: Channel): Generator<{ readonly offset: number; readonly places: readonly number[] }> {
    for (const { spec, offset, start } of this.#streams.values())
      if (spec.channel === channel) yield { offset, places: start }
    for (const [id, { streamId, start, former = [] }] of this.#leases) {
      const offset = this.#leaseOffsets.get(id) ?? this.#nextOffset
      const isIn = (stream: string): boolean => this.#streams.get(stream)?.spec.channel === channel
      if (start && isIn(streamId)) yield { offset, places: start }
      for (const each of former) if (isIn(each.streamId)) yield { offset, places: each.seam }
    }
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
      ...(record.start && { start: record.start }),
      ...(record.begin !== undefined && { begin: record.begin }),
      ...(record.former && { former: record.former.flatMap((former) => this.#formerTopic(former)) }),
      createdAt: record.createdAt,
      standing: record.standing,
    }
  }

  /** A former topic of a lease, for as long as it is there. */
  #formerTopic({ streamId, start, begin, seam, end }: FormerStream): FormerTopic[] {
    const stream = this.#streams.get(streamId)
    if (stream?.state !== 'ready' && stream?.state !== 'kept') return []
    const { topic, topicId, spec } = stream
    return [{ topic, topicId, spec, ...(start && { start }), begin, seam, end }]
  }

  #setStream(stream: StreamEntry): void {
    this.#streams.set(stream.id, stream)
    const key = specKey(stream.spec)
    if (stream.state === 'creating' || stream.state === 'ready') this.#bySpec.set(key, stream.id)
    else if (this.#bySpec.get(key) === stream.id) this.#bySpec.delete(key)
  }

  #setLease(lease: LeaseRecord, offset: number): void {
    if (lease.state === 'ended') {
      this.#removeLease(lease.id)
      this.#endedRecords.set(lease.id, lease)
      this.#noteEnd(lease)
      return
    }
    this.#unlinkLease(lease.id)
    this.#leases.set(lease.id, lease)
    this.#leaseOffsets.set(lease.id, offset)
    add(this.#leasesOfStream, lease.streamId, lease.id)
    for (const { streamId, end } of lease.former ?? []) {
      add(this.#formerLeases, streamId, lease.id)
      if (end === null) this.#moving.add(lease.id)
    }
  }

  #setWebhook(webhook: WebhookRecord): void {
    if (webhook.state === 'live') this.#webhooks.set(webhook.id, webhook)
    else {
      this.#webhooks.delete(webhook.id)
      this.#noteEnd(webhook)
    }
  }

  #noteEnd({ id, app }: LeaseRecord | WebhookRecord): void {
    this.#ended.set(id, app)
    if (this.#ended.size > MOST_ENDED) this.#ended.delete(this.#ended.keys().next().value ?? '')
  }

  #removeLease(id: string): void {
    this.#unlinkLease(id)
    this.#leases.delete(id)
    this.#leaseOffsets.delete(id)
  }

  #unlinkLease(id: string): void {
    const lease = this.#leases.get(id)
    if (!lease) return
    this.#leasesOfStream.get(lease.streamId)?.delete(id)
    this.#moving.delete(id)
    for (const { streamId } of lease.former ?? []) {
      const leases = this.#formerLeases.get(streamId)
      if (leases?.delete(id) && leases.size === 0) this.#formerLeases.delete(streamId)
    }
  }

  #remove(key: string): void {
    const id = key.slice(key.indexOf(':') + 1)
    if (key.startsWith('lease:')) {
      this.#removeLease(id)
      this.#endedRecords.delete(id)
    }
    if (key.startsWith('webhook:')) this.#webhooks.delete(id)
    if (key.startsWith('key:')) this.keys.delete(id)
    if (!key.startsWith('stream:')) return
    this.#removeStream(id)
    this.#leasesOfStream.delete(id)
  }

  #removeStream(id: string): void {
    const stream = this.#streams.get(id)
    this.#streams.delete(id)
    if (stream && this.#bySpec.get(specKey(stream.spec)) === id) this.#bySpec.delete(specKey(stream.spec))
  }
}

function add(sets: Map<string, Set<string>>, key: string, value: string): void {
  sets.set(key, (sets.get(key) ?? new Set()).add(value))
}
