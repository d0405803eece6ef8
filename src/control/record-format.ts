import { z } from 'zod'
import { CHANNELS, STREAM_INTERVALS } from '../domain/events.ts'
import type { RecordHeaders } from '../domain/record.ts'
import { isKnownSpec } from '../domain/stream-spec.ts'
import { TapelineError } from '../errors.ts'
import { SCOPES } from '../ports/keys.ts'

/**
 * What the JSON records of `tapeline.registry` and `tapeline.control` have in common (R9). Every record carries the lowest version that may act on
 * it (R23), the instance that wrote it and, where the leader wrote it, its epoch. A field that may be passed over is added without a new
 * version; one that may not gets its records, and only these, the version that brought it. This is the version of all others.
 */
export const CONTROL_VERSION = 1
/** Brought filters, fields and beginnings: a process that passes them over would publish more, or less, than was asked for. */
export const TAILORED_VERSION = 2
/**
 * Brought webhooks, whose streams a leader that passes them over would end; keys, which a gateway that passes them over would not know to be revoked; and
 * windows: who passes them over would publish what was to be gathered.
 */
export const GATHERED_VERSION = 3
/** Brought moves: who passes over that a lease has had other topics would end these, and would give what belongs to one of them from another. */
export const MOVED_VERSION = 4
/** Brought backfills of candles: who passes over the channel would publish trades, which nobody asked for. */
export const PAST_CANDLES_VERSION = 5
/** The highest version that this process acts on. */
const HIGHEST_VERSION = PAST_CANDLES_VERSION

/** Of the field `v`: the versions that this process acts on. */
export const versionSchema = z.literal([
  CONTROL_VERSION,
  TAILORED_VERSION,
  GATHERED_VERSION,
  MOVED_VERSION,
  HIGHEST_VERSION,
])

export type ControlVersion = z.infer<typeof versionSchema>

/** A field of a spec that is not known narrows it: passing it over would publish more than was asked for. */
export const specSchema = z
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

/** What an application asked for of a webhook. */
export const webhookFields = {
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
export const keyFields = {
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

export const CONTROL_HEADERS: RecordHeaders = { v: CONTROL_VERSION, kind: 'control' }
const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** The lowest version that may act on a spec; undefined: any. */
export function versionOfSpec(spec: z.infer<typeof specSchema>): ControlVersion | undefined {
  const { where, fields, every, interval } = spec
  if ((every ?? interval) !== undefined) return GATHERED_VERSION
  return (where ?? fields) === undefined ? undefined : TAILORED_VERSION
}

/** A record as JSON, `version` being the lowest that may act on it. */
export function encodeRecord(record: object, version: ControlVersion): Uint8Array {
  return encoder.encode(JSON.stringify({ ...record, v: version }))
}

/** Reads a record. Raises UPGRADE_NEEDED where it is of a higher version, or of no shape that is known here. */
export function decodeRecord<T>(schema: z.ZodType<T>, value: Uint8Array, what: string): T {
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
