import { z } from 'zod'
import type { OutgoingRecord } from '../ports/broker.ts'
import {
  CONTROL_HEADERS,
  type ControlVersion,
  decodeRecord,
  encodeRecord,
  GATHERED_VERSION,
  keyFields,
  MOVED_VERSION,
  specSchema,
  versionOfSpec,
  versionSchema,
  webhookFields,
} from './record-format.ts'

/** Why a lease ended whose topic somebody else removed: whoever wants it may ask again. */
export const TOPIC_REMOVED = 'somebody else removed its topic'

const author = { v: versionSchema, instance: z.string(), epoch: z.number().int() }

const offsets = z.array(z.number().int()).readonly()

/** A stream that a lease has had, and the seam at which it left it (R13). */
const formerStreamSchema = z.object({
  streamId: z.string(),
  /** As of the lease, while it had this stream. */
  start: offsets.exactOptional(),
  begin: z.number().int(),
  /** Per partition of the stream's fixed topic: from this offset on nothing of it is the lease's own. */
  seam: offsets,
  /** All in front of the seam lies in front of this offset of the stream's topic; null until that is known. */
  end: z.number().int().nullable(),
})

/** The records of `tapeline.registry`: compacted, keyed. */
const registryRecordSchema = z.discriminatedUnion('kind', [
  z.object({
    ...author,
    kind: z.literal('stream'),
    id: z.string(),
    /** `kept`: nothing more is derived for it; the topic stays for cursors of leases that have moved on. */
    state: z.enum(['creating', 'ready', 'kept', 'ending']),
    /** Since when it is kept, in milliseconds. */
    keptAt: z.number().exactOptional(),
    topic: z.string(),
    /** Empty until the topic exists. */
    topicId: z.string(),
    spec: specSchema,
    /** Where the stream starts: an offset for each partition of its fixed topic (R4). Empty until ready. */
    start: z.array(z.number().int()),
    /** Of candles: periods that begin before have none, in microseconds. */
    since: z.number().int().exactOptional(),
    createdAt: z.number(),
  }),
  z.object({
    ...author,
    kind: z.literal('lease'),
    id: z.string(),
    state: z.enum(['live', 'ended']),
    reason: z.string(),
    app: z.string(),
    streamId: z.string(),
    ttlMs: z.number(),
    standing: z.boolean(),
    /** Whether its topic was made for it: then all that the topic holds came after it. */
    opensTopic: z.boolean().default(false),
    /** Per fixed partition: nothing before this offset is its own, though the topic that it shares holds more. Left out: what comes next. */
    start: offsets.exactOptional(),
    /** The offset of its topic at which its own part begins, of one that has moved. */
    begin: z.number().int().exactOptional(),
    /** The streams that it has had before, in their order. */
    former: z.array(formerStreamSchema).readonly().exactOptional(),
    createdAt: z.number(),
  }),
  z.object({
    ...author,
    ...webhookFields,
    kind: z.literal('webhook'),
    id: z.string(),
    state: z.enum(['live', 'ended']),
    /** Whether a command paused it. */
    paused: z.boolean(),
    /** Rises with each command: what paused it by itself before the last one does not count any more. */
    revision: z.number().int(),
    createdAt: z.number(),
  }),
  z.object({
    ...author,
    ...keyFields,
    kind: z.literal('key'),
    id: z.string(),
    createdAt: z.number(),
    revokedAt: z.number().nullable(),
  }),
  /** The claim of a shard, of webhooks or of the leadership; its offset is the epoch (R8). */
  z.object({ ...author, kind: z.literal('claim'), transactionalId: z.string(), at: z.number() }),
  /** The leader's position in `tapeline.control`, written with the results. */
  z.object({
    ...author,
    kind: z.literal('leader'),
    controlOffset: z.number().int(),
    /** The prefixes of the fixed topics and of the topics of streams of this platform. Left out by versions that did not tell. */
    prefix: z.string().optional(),
    dynamicPrefix: z.string().optional(),
  }),
])

export type RegistryRecord = z.infer<typeof registryRecordSchema>
export type StreamRecord = RegistryRecord & { kind: 'stream' }
export type FormerStream = z.infer<typeof formerStreamSchema>
export type LeaseRecord = RegistryRecord & { kind: 'lease' }
export type KeyRecord = RegistryRecord & { kind: 'key' }
export type WebhookRecord = RegistryRecord & { kind: 'webhook' }

/** The key of what leaders say of themselves and of the platform. */
export const LEADER_KEY = 'leader'

/** The key under which compaction keeps the last record. */
function registryKey(record: RegistryRecord): string {
  switch (record.kind) {
    case 'stream':
      return `stream:${record.id}`
    case 'lease':
      return `lease:${record.id}`
    case 'webhook':
      return `webhook:${record.id}`
    case 'key':
      return `key:${record.id}`
    case 'claim':
      return `claim:${record.transactionalId}`
    case 'leader':
      return LEADER_KEY
  }
}

export function registryEntry(record: RegistryRecord): OutgoingRecord {
  return {
    key: registryKey(record),
    value: encodeRecord(record, versionOf(record)),
    headers: CONTROL_HEADERS,
  }
}

/** Removes the key of a record at the next compaction. */
export function registryTombstone(record: RegistryRecord): OutgoingRecord {
  return { key: registryKey(record), value: null, headers: CONTROL_HEADERS }
}

function versionOf(record: RegistryRecord): ControlVersion {
  switch (record.kind) {
    case 'webhook':
    case 'key':
      return GATHERED_VERSION
    case 'lease':
      return record.former === undefined ? record.v : MOVED_VERSION
    case 'stream':
      return record.state === 'kept' ? MOVED_VERSION : (versionOfSpec(record.spec) ?? record.v)
    case 'claim':
    case 'leader':
      return record.v
  }
}

/** Reads a registry record. Raises UPGRADE_NEEDED where it is of a higher version, or of no shape that is known here. */
export function decodeRegistry(value: Uint8Array): RegistryRecord {
  return decodeRecord(registryRecordSchema, value, 'registry')
}
