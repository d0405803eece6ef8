import { z } from 'zod'
import { CHANNELS, GAP_CAUSES, STREAM_INTERVALS } from '../domain/events.ts'
import type { RecordHeaders } from '../domain/record.ts'
import { isKnownSpec } from '../domain/stream-spec.ts'
import { TapelineError } from '../errors.ts'
import type { OutgoingRecord } from '../ports/broker.ts'
import { SCOPES } from '../ports/keys.ts'
import { processReportSchema } from './process-report.ts'

/** Why a lease ended whose topic somebody else removed: whoever wants it may ask again. */
export const TOPIC_REMOVED = 'somebody else removed its topic'

/**
 * The JSON records of `tapeline.registry` (compacted, keyed) and `tapeline.control` (R9). Every record carries the lowest
 * version that may act on it (R23), the instance that wrote it and, where the leader wrote it, its epoch. A field that may be passed over
 * is added without a new version; one that may not gets its records, and only these, the version that brought it. This is the version
 * of all others.
 */
export const CONTROL_VERSION = 1
/** Brought filters, fields and beginnings: a process that passes them over would publish more, or less, than was asked for. */
const TAILORED_VERSION = 2
/**
 * Brought webhooks, whose streams a leader that passes them over would end; keys, which a gateway that passes them over would not know to be revoked; and
 * windows: who passes them over would publish what was to be gathered.
 */
const GATHERED_VERSION = 3
/** Brought moves: who passes over that a lease has had other topics would end these, and would give what belongs to one of them from another. */
const MOVED_VERSION = 4
/** The highest version that this process acts on. */
const HIGHEST_VERSION = MOVED_VERSION

/** A field of a spec that is not known narrows it: passing it over would publish more than was asked for. */
const specSchema = z
  .strictObject({
    channel: z.enum(CHANNELS),
    symbols: z.array(z.string()).readonly(),
    exchanges: z.array(z.string()).readonly(),
    where: z.string().exactOptional(),
    fields: z.array(z.string()).readonly().exactOptional(),
    every: z.string().exactOptional(),
    interval: z.enum(STREAM_INTERVALS).exactOptional(),
    lateness: z.string().exactOptional(),
    depth: z.number().int().positive().exactOptional(),
    empty: z.literal(true).exactOptional(),
  })
  .refine(isKnownSpec, 'asks for something that is not known here')

const offerSchema = z.object({
  channels: z.array(z.enum(CHANNELS)),
  markets: z.array(z.string()).optional(),
})

const version = z.literal([CONTROL_VERSION, TAILORED_VERSION, GATHERED_VERSION, HIGHEST_VERSION])

const author = { v: version, instance: z.string(), epoch: z.number().int() }

/** What an application asked for of a webhook. */
const webhook = {
  app: z.string(),
  leaseId: z.string(),
  url: z.string(),
  /** What signs its messages: no answer has it, but the one to POST. */
  secret: z.string(),
  maxEvents: z.number().int(),
  maxWaitMs: z.number(),
  /** Where it begins. */
  cursor: z.string(),
}

/** A key of an application (R26): its text is nowhere, only the SHA-256 of it. */
const key = {
  digest: z.string(),
  app: z.string(),
  scopes: z.array(z.enum(SCOPES)),
  quotas: z.object({
    streams: z.number().int().exactOptional(),
    sockets: z.number().int().exactOptional(),
    webhooks: z.number().int().exactOptional(),
    eventsPerSecond: z.number().int().exactOptional(),
  }),
}

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
    ...webhook,
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
    ...key,
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
    /** The prefix of the fixed topics that this platform publishes to. Left out by versions that did not tell. */
    prefix: z.string().optional(),
  }),
])

export type RegistryRecord = z.infer<typeof registryRecordSchema>
export type StreamRecord = RegistryRecord & { kind: 'stream' }
export type FormerStream = z.infer<typeof formerStreamSchema>
export type LeaseRecord = RegistryRecord & { kind: 'lease' }
export type KeyRecord = RegistryRecord & { kind: 'key' }
export type WebhookRecord = RegistryRecord & { kind: 'webhook' }

const replayResultSchema = z.object({
  id: z.string(),
  outcome: z.enum(['replayed', 'still-refused']),
  code: z.string().optional(),
  reason: z.string().optional(),
})

const member = { v: version, instance: z.string() }
const notification = {
  notificationId: z.string(),
  epoch: z.number().int(),
  registryOffset: z.number().int(),
  ready: z.array(z.string()),
  ended: z.array(z.string()),
}

const controlRecordSchema = z.discriminatedUnion('kind', [
  z.object({
    ...member,
    kind: z.literal('CREATE_TOPIC_REQUEST'),
    requestId: z.string(),
    leaseId: z.string(),
    app: z.string(),
    spec: specSchema,
    /** Where it begins, if not with what comes next. */
    from: z.union([z.literal('earliest'), z.number()]).exactOptional(),
    ttlMs: z.number(),
    standing: z.boolean(),
  }),
  /** Moves a lease to another spec, and gives it another time to live. */
  z.object({
    ...member,
    kind: z.literal('MOVE_LEASE_REQUEST'),
    requestId: z.string(),
    leaseId: z.string(),
    app: z.string(),
    spec: specSchema,
    ttlMs: z.number(),
  }),
  /** Of a shard: each of these streams holds all that comes of the fixed records in front of `offset`. Its owner says so until the move is over. */
  z.object({
    ...member,
    kind: z.literal('SEAM_PASSED'),
    shard: z.number().int(),
    /** The owner's; `epoch` would be a leader's. */
    shardEpoch: z.number().int(),
    passed: z.array(z.object({ streamId: z.string(), offset: z.number().int() })),
  }),
  z.object({
    ...member,
    kind: z.literal('END_LEASE_REQUEST'),
    requestId: z.string(),
    leaseId: z.string(),
    app: z.string(),
  }),
  z.object({
    ...member,
    ...webhook,
    kind: z.literal('CREATE_WEBHOOK_REQUEST'),
    requestId: z.string(),
    webhookId: z.string(),
  }),
  z.object({
    ...member,
    kind: z.literal('CHANGE_WEBHOOK_REQUEST'),
    requestId: z.string(),
    webhookId: z.string(),
    app: z.string(),
    change: z.enum(['pause', 'resume', 'end']),
  }),
  z.object({
    ...member,
    ...key,
    kind: z.literal('CREATE_KEY_REQUEST'),
    requestId: z.string(),
    keyId: z.string(),
  }),
  z.object({
    ...member,
    kind: z.literal('REVOKE_KEY_REQUEST'),
    requestId: z.string(),
    keyId: z.string(),
  }),
  z.object({
    ...member,
    kind: z.literal('REPLY'),
    requestId: z.string(),
    /** The leader's; left out where another process answers for itself. */
    epoch: z.number().int().optional(),
    /** The registry is at least as far as this when the answer can be seen there. */
    registryOffset: z.number().int(),
    failure: z.object({ code: z.string(), message: z.string() }).nullable(),
  }),
  z.object({ ...member, ...notification, kind: z.literal('NOTIFY_PRODUCER') }),
  z.object({ ...member, ...notification, kind: z.literal('NOTIFY_CONSUMER') }),
  z.object({ ...member, kind: z.literal('ACKNOWLEDGE'), notificationId: z.string(), role: z.string() }),
  z.object({
    ...member,
    kind: z.literal('HEARTBEAT'),
    roles: z.array(z.string()),
    /** Leases that have readers there: their time to live does not run. */
    reading: z.array(z.string()),
    /** Which part of `reading` this is, and of how many that follow one another: a record is bounded. */
    part: z.number().int().default(0),
    parts: z.number().int().default(1),
    /** Left out by versions that did not have it, and where it is of another shape: who reads which lease counts all the same. */
    report: processReportSchema.optional().catch(undefined),
    /** What the source of a producer gives; only in the first part. */
    offer: offerSchema.optional().catch(undefined),
  }),
  /** Asks the process `target` to send RESET to one of its actors; answered by a REPLY. */
  z.object({
    ...member,
    kind: z.literal('RESET_ACTOR'),
    requestId: z.string(),
    target: z.string(),
    actor: z.string(),
  }),
  /** Somebody watches the machines at `instance`: the others tell what theirs do. `isNew`: it has no counts yet. */
  z.object({ ...member, kind: z.literal('WATCH_TRANSITIONS'), isNew: z.boolean() }),
  /** What the machines of a process did: JSON, which only who watches reads. */
  z.object({ ...member, kind: z.literal('TRANSITIONS'), body: z.string() }),
  /** Asks all producers to publish dead letters again, each those of its shards. `at` is the letter's own offset. */
  z.object({
    ...member,
    kind: z.literal('REPLAY_REQUEST'),
    requestId: z.string(),
    letters: z.array(z.object({ id: z.string(), at: z.number().int() })),
  }),
  /** Asks the producer of a market's shard to publish trades of the past, and to say of these gaps what is whole then. Microseconds. */
  z.object({
    ...member,
    kind: z.literal('BACKFILL_REQUEST'),
    requestId: z.string(),
    exchange: z.string(),
    symbol: z.string(),
    from: z.number().int(),
    to: z.number().int(),
    gaps: z.array(
      z.object({ from: z.number().int(), to: z.number().int(), cause: z.enum(GAP_CAUSES).optional() }),
    ),
  }),
  /** What came of one step of it: it goes on at `next`. */
  z.object({
    ...member,
    kind: z.literal('BACKFILL_RESULT'),
    requestId: z.string(),
    trades: z.number().int(),
    since: z.number().int(),
    next: z.number().int().nullable(),
    failure: z.object({ code: z.string(), message: z.string() }).nullable(),
  }),
  /** What a producer has done about some of the letters of a request. */
  z.object({
    ...member,
    kind: z.literal('REPLAY_RESULT'),
    requestId: z.string(),
    results: z.array(replayResultSchema),
  }),
])

export type ControlRecord = z.infer<typeof controlRecordSchema>
export type ControlRecordOf<K extends ControlRecord['kind']> = Extract<ControlRecord, { kind: K }>

const HEADERS: RecordHeaders = { v: CONTROL_VERSION, kind: 'control' }
const encoder = new TextEncoder()
const decoder = new TextDecoder()

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
      return 'leader'
  }
}

export function registryEntry(record: RegistryRecord): OutgoingRecord {
  return { key: registryKey(record), value: encode(record), headers: HEADERS }
}

/** Removes the key of a record at the next compaction. */
export function registryTombstone(record: RegistryRecord): OutgoingRecord {
  return { key: registryKey(record), value: null, headers: HEADERS }
}

export function controlEntry(record: ControlRecord): OutgoingRecord {
  return { key: record.instance, value: encode(record), headers: HEADERS }
}

function encode(record: RegistryRecord | ControlRecord): Uint8Array {
  return encoder.encode(JSON.stringify({ ...record, v: versionOf(record) }))
}

/** The lowest version that may act on a record (R23). */
function versionOf(record: RegistryRecord | ControlRecord): RegistryRecord['v'] {
  switch (record.kind) {
    case 'webhook':
    case 'CREATE_WEBHOOK_REQUEST':
    case 'CHANGE_WEBHOOK_REQUEST':
    case 'key':
    case 'CREATE_KEY_REQUEST':
    case 'REVOKE_KEY_REQUEST':
      return GATHERED_VERSION
    case 'MOVE_LEASE_REQUEST':
    case 'SEAM_PASSED':
      return MOVED_VERSION
    case 'lease':
      return record.former === undefined ? record.v : MOVED_VERSION
    default: {
      if ('state' in record && record.state === 'kept') return MOVED_VERSION
      if (!('spec' in record)) return record.v
      const { where, fields, every, interval } = record.spec
      if ((every ?? interval) !== undefined) return GATHERED_VERSION
      const tailored = where ?? fields ?? ('from' in record ? record.from : undefined)
      return tailored === undefined ? record.v : TAILORED_VERSION
    }
  }
}

/** Reads a registry record. Raises UPGRADE_NEEDED where it is of a higher version, or of no shape that is known here. */
export function decodeRegistry(value: Uint8Array): RegistryRecord {
  return decode(registryRecordSchema, value, 'registry')
}

/** Reads a control record. Raises UPGRADE_NEEDED where it is of a higher version, or of no shape that is known here. */
export function decodeControl(value: Uint8Array): ControlRecord {
  return decode(controlRecordSchema, value, 'control')
}

function decode<T>(schema: z.ZodType<T>, value: Uint8Array, what: string): T {
  try {
    return schema.parse(JSON.parse(decoder.decode(value)))
  } catch (error) {
    const { v } = readEnvelope(value)
    const reason =
      v !== undefined && v > HIGHEST_VERSION
        ? `version ${v} may act on it, and this process has version ${HIGHEST_VERSION}`
        : describeIssues(error)
    throw new TapelineError('UPGRADE_NEEDED', `a ${what} record is not understood: ${reason}`, {
      cause: error,
    })
  }
}

function describeIssues(error: unknown): string {
  if (!(error instanceof z.ZodError)) return 'it is not JSON'
  const [issue] = error.issues
  return `${issue?.path.join('.') || 'it'}: ${issue?.message ?? 'another shape'}`
}

const envelopeSchema = z.object({
  v: z.number().optional().catch(undefined),
  kind: z.string().optional().catch(undefined),
  instance: z.string().optional().catch(undefined),
  requestId: z.string().optional().catch(undefined),
})

/** What can be told of a record that is not understood. */
export type Envelope = z.infer<typeof envelopeSchema>

/** Reads what every version has, as far as it is there. */
export function readEnvelope(value: Uint8Array): Envelope {
  try {
    return envelopeSchema.parse(JSON.parse(decoder.decode(value)))
  } catch {
    return {}
  }
}
