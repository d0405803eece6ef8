import { z } from 'zod'
import { CHANNELS, GAP_CAUSES } from '../domain/events.ts'
import type { OutgoingRecord } from '../ports/broker.ts'
import { PAST_CHANNELS } from '../ports/source.ts'
import { processReportSchema } from './process-report.ts'
import {
  CONTROL_HEADERS,
  type ControlVersion,
  decodeRecord,
  encodeRecord,
  GATHERED_VERSION,
  keyFields,
  MOVED_VERSION,
  PAST_CANDLES_VERSION,
  specSchema,
  TAILORED_VERSION,
  versionOfSpec,
  versionSchema,
  webhookFields,
} from './record-format.ts'

const offerSchema = z.object({
  channels: z.array(z.enum(CHANNELS)),
  markets: z.array(z.string()).optional(),
})

const replayResultSchema = z.object({
  id: z.string(),
  outcome: z.enum(['replayed', 'still-refused']),
  code: z.string().optional(),
  reason: z.string().optional(),
})

const member = { v: versionSchema, instance: z.string() }
const notification = {
  notificationId: z.string(),
  epoch: z.number().int(),
  registryOffset: z.number().int(),
  ready: z.array(z.string()),
  ended: z.array(z.string()),
}

/** The records of `tapeline.control`: what processes ask of each other and tell each other. */
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
    ...webhookFields,
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
    ...keyFields,
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
  /** Asks the producer of a market's shard to publish trades or candles of the past, and to say of these gaps what is whole then. Microseconds. */
  z.object({
    ...member,
    kind: z.literal('BACKFILL_REQUEST'),
    channel: z.enum(PAST_CHANNELS).default('trade'),
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
    /** So many events were published. It has the name that it had when these were trades alone, which other versions know. */
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

export function controlEntry(record: ControlRecord): OutgoingRecord {
  return { key: record.instance, value: encodeRecord(record, versionOf(record)), headers: CONTROL_HEADERS }
}

function versionOf(record: ControlRecord): ControlVersion {
  switch (record.kind) {
    case 'CREATE_WEBHOOK_REQUEST':
    case 'CHANGE_WEBHOOK_REQUEST':
    case 'CREATE_KEY_REQUEST':
    case 'REVOKE_KEY_REQUEST':
      return GATHERED_VERSION
    case 'MOVE_LEASE_REQUEST':
    case 'SEAM_PASSED':
      return MOVED_VERSION
    case 'BACKFILL_REQUEST':
      return record.channel === 'trade' ? record.v : PAST_CANDLES_VERSION
    case 'CREATE_TOPIC_REQUEST':
      return versionOfSpec(record.spec) ?? (record.from === undefined ? record.v : TAILORED_VERSION)
    default:
      return record.v
  }
}

/** Reads a control record. Raises UPGRADE_NEEDED where it is of a higher version, or of no shape that is known here. */
export function decodeControl(value: Uint8Array): ControlRecord {
  return decodeRecord(controlRecordSchema, value, 'control')
}
