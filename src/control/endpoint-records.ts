import { z } from 'zod'
import { TapelineError } from '../errors.ts'
import type { OutgoingRecord } from '../ports/broker.ts'

/**
 * The JSON records of `tapeline.endpoints` (R25): compacted, keyed, and of the owner of their partition alone. A version of its own; what
 * may be passed over is added without a new one (R23).
 */
const ENDPOINTS_VERSION = 1

/** Where a webhook stands in its stream. */
const placeSchema = z.object({
  cursor: z.string(),
  /** Events in front of this offset have been taken, though they lie after the cursor. */
  after: z.number().int().nullable(),
})

const noticeSchema = z.object({ op: z.enum(['reset', 'end']), stream: z.string(), reason: z.string() })

const author = { v: z.literal(ENDPOINTS_VERSION), instance: z.string(), epoch: z.number().int() }

const endpointRecordSchema = z.discriminatedUnion('kind', [
  z.object({
    ...author,
    kind: z.literal('endpoint'),
    id: z.string(),
    /** All that lies in front of it has been taken by the receiver. */
    place: placeSchema,
    /**
     * The message that is being sent: written before the first attempt, so that whoever goes on sends the same one under the same id. Of events
     * it names where they end: the log has them.
     */
    pending: z
      .object({
        id: z.string(),
        next: z.number().int().nullable(),
        /** The topic that `next` is an offset of: a stream may move to another one. */
        topicId: z.string().exactOptional(),
        notice: noticeSchema.nullable(),
        /** Where the webhook stands once it is taken. */
        place: placeSchema,
      })
      .nullable(),
    /** Attempts that failed in a row. Times in milliseconds since the epoch. */
    failure: z
      .object({ since: z.number(), attempts: z.number().int(), code: z.string(), message: z.string() })
      .nullable(),
    /** Why it sends no more, until a command of a higher revision. */
    stopped: z
      .object({
        revision: z.number().int(),
        reason: z.enum(['failed', 'gone', 'ended']),
        code: z.string(),
        message: z.string(),
        at: z.number(),
      })
      .nullable(),
    deliveredAt: z.number().nullable(),
  }),
  /** Who owns the partition; `held` is false once the owner has let go of it, and sends nothing any more. */
  z.object({ ...author, kind: z.literal('owner'), partition: z.number().int(), held: z.boolean() }),
])

export type EndpointRecord = z.infer<typeof endpointRecordSchema>
export type WebhookState = Omit<EndpointRecord & { kind: 'endpoint' }, 'v' | 'instance' | 'epoch' | 'kind'>
export type WebhookPlace = WebhookState['place']
export type WebhookNotice = z.infer<typeof noticeSchema>
export type EndpointBody =
  | (WebhookState & { readonly kind: 'endpoint' })
  | { readonly kind: 'owner'; readonly partition: number; readonly held: boolean }

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const HEADERS = { v: ENDPOINTS_VERSION, kind: 'control' } as const

export function endpointKey(id: string): string {
  return `endpoint:${id}`
}

export function endpointEntry(body: EndpointBody, instance: string, epoch: number): OutgoingRecord {
  const key = body.kind === 'owner' ? `owner:${body.partition}` : endpointKey(body.id)
  const record = { ...body, v: ENDPOINTS_VERSION, instance, epoch } satisfies EndpointRecord
  return { key, value: encoder.encode(JSON.stringify(record)), headers: HEADERS }
}

/** Removes what is known of a webhook at the next compaction. */
export function endpointTombstone(id: string): OutgoingRecord {
  return { key: endpointKey(id), value: null, headers: HEADERS }
}

/** Reads a record. Raises UPGRADE_NEEDED where it is of a higher version, or of no shape that is known here. */
export function decodeEndpoint(value: Uint8Array): EndpointRecord {
  try {
    return endpointRecordSchema.parse(JSON.parse(decoder.decode(value)))
  } catch (error) {
    throw new TapelineError('UPGRADE_NEEDED', 'a record of webhooks is not understood', { cause: error })
  }
}
