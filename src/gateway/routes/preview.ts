import { z } from 'zod'
import { NEVER, untilAborted } from '../../async/abort.ts'
import { withDeadline } from '../../async/deadline.ts'
import { streamWarningsSchema } from '../../domain/app-messages.ts'
import { compileSpec } from '../../domain/compiled-spec.ts'
import { decodeEvent } from '../../domain/event-codec.ts'
import type { Channel, EventOf } from '../../domain/events.ts'
import { marketMatcher } from '../../domain/routing.ts'
import { parseStreamRequest, type StreamSpec, streamRequestSchema } from '../../domain/stream-spec.ts'
import { TapelineError } from '../../errors.ts'
import type { Broker, ReadPosition, StoredRecord } from '../../ports/broker.ts'
import type { StreamDesk } from '../../ports/streams.ts'
import type { GatewayOptions } from '../options.ts'
import { streamSchema } from '../schemas/streams.ts'
import { deadlineOf, type GatewayServer } from '../server.ts'

/** So many records of each partition are looked at, and so many events shown. */
const MOST_RECORDS = 500
const MOST_EVENTS = 10
const POLL_MS = 100
/** A partition whose end does not come meanwhile counts with what came. */
const MOST_POLLS = 20
/** Who asked first may go: reading has a time of its own. */
const READ_MS = 10_000

const previewSchema = z
  .discriminatedUnion('acceptable', [
    z.object({
      acceptable: z.literal(true),
      spec: streamSchema.shape.spec,
      looked: z.number().int().describe('How many of the latest events of the channel were looked at.'),
      matching: z
        .number()
        .int()
        .describe('How many of them the stream takes; before `every` and `interval` gather them.'),
      events: z
        .array(z.record(z.string(), z.unknown()))
        .describe('The newest of these, as the stream would give them.'),
      warnings: streamWarningsSchema.optional(),
    }),
    z.object({
      acceptable: z.literal(false),
      errors: z
        .array(z.object({ field: z.string(), value: z.unknown(), message: z.string(), remedy: z.string() }))
        .readonly()
        .describe('As in the problem document that POST /v1/streams would answer.'),
    }),
  ])
  .meta({ id: 'Preview' })

interface PreviewOptions extends Pick<GatewayOptions, 'fixedTopics'> {
  readonly broker: Pick<Broker, 'describeTopics' | 'openReader'>
  readonly desk: Pick<StreamDesk, 'warnings'>
}

/** Looks at what a stream would take of the latest events, without making it. */
export function registerPreview(app: GatewayServer, { broker, desk, fixedTopics }: PreviewOptions): void {
  const reading = new Map<string, Promise<readonly StoredRecord[]>>()

  /** The last events of a topic, read once for all who ask meanwhile: however many they are, the broker sees one reader. */
  const latestOf = (topic: string, signal: AbortSignal): Promise<readonly StoredRecord[]> => {
    const known = reading.get(topic)
    if (known !== undefined) return untilAborted(known, signal)
    const read = withDeadline(NEVER, READ_MS, (deadline) => readLatest(broker, topic, deadline)).finally(() =>
      reading.delete(topic),
    )
    reading.set(topic, read)
    return untilAborted(read, signal)
  }

  app.route({
    method: 'POST',
    url: '/v1/streams/preview',
    schema: {
      operationId: 'previewStream',
      summary: 'Check a request for a stream, and see what it takes',
      description: `Makes nothing. A request that is not acceptable is answered as such: whoever is still typing asks, too. Of each partition of the fixed topic the last ${MOST_RECORDS} records are looked at.`,
      tags: ['streams'],
      body: streamRequestSchema,
      response: { 200: previewSchema },
    },
    config: {
      scope: 'read',
      errors: ['BODY_NOT_JSON', 'BODY_TOO_LARGE', 'MEDIA_TYPE_UNSUPPORTED', 'BROKER_UNAVAILABLE'],
    },
    // The domain reads the request itself, as for a stream that is made.
    validatorCompiler: () => (value) => ({ value }),
    handler: async (request, reply) => {
      const parsed = parsedRequest(request.body)
      if ('errors' in parsed) return { acceptable: false as const, ...parsed }
      const { spec } = parsed
      const latest = await latestOf(fixedTopics[spec.channel], deadlineOf(reply))
      const events = eventsOf(spec, latest)
      const warnings = desk.warnings(spec)
      const found = { acceptable: true as const, spec, looked: latest.length, ...events }
      return warnings.length > 0 ? { ...found, warnings: [...warnings] } : found
    },
  })
}

/** A request, or what is not acceptable about it. */
function parsedRequest(body: unknown) {
  try {
    return parseStreamRequest(body, Date.now())
  } catch (error) {
    if (error instanceof TapelineError && error.code === 'INPUT_INVALID') return { errors: error.fields }
    throw error
  }
}

/** The last events of a topic, the newest first. */
async function readLatest(
  broker: PreviewOptions['broker'],
  topic: string,
  signal: AbortSignal,
): Promise<readonly StoredRecord[]> {
  const [found] = await broker.describeTopics([topic], signal)
  const ends = found?.offsets.map(({ end }) => end) ?? []
  const positions: ReadPosition[] = (found?.offsets ?? []).flatMap(({ earliest, end }, partition) =>
    end > earliest ? [{ topic, partition, offset: Math.max(earliest, end - MOST_RECORDS) }] : [],
  )
  const records: StoredRecord[] = []
  const open = new Set(positions.map(({ partition }) => partition))
  const reader = await broker.openReader(signal)
  try {
    await reader.assign(positions, signal)
    for (let polls = 0; open.size > 0 && polls < MOST_POLLS; polls++) {
      for (const fetch of await reader.poll({ maxRecords: MOST_RECORDS, waitMs: POLL_MS }, signal)) {
        if (fetch.kind === 'deleted') return []
        if (fetch.kind === 'records') records.push(...fetch.records)
        const isDone = !('nextOffset' in fetch) || fetch.nextOffset >= (ends[fetch.partition] ?? 0)
        if (isDone) open.delete(fetch.partition)
      }
    }
  } finally {
    await reader.close(signal)
  }
  return records
    .filter(({ headers, value }) => headers.kind === 'event' && value !== null)
    .sort((a, b) => b.timestamp - a.timestamp || b.offset - a.offset)
}

/** What the stream takes of some records. */
function eventsOf(spec: StreamSpec, records: readonly StoredRecord[]) {
  const { wants, shape } = compileSpec(spec)
  const { matches } = marketMatcher(spec)
  const decoder = new TextDecoder()
  const events: Record<string, unknown>[] = []
  let matching = 0
  for (const { value, headers } of records) {
    const event = value && decoded(spec.channel, value, headers.v)
    if (!event) continue
    const { exchange = '', symbol = '' } = event as { readonly exchange?: string; readonly symbol?: string }
    if (!matches(spec.channel, exchange, symbol) || !wants(event)) continue
    matching += 1
    // Windows choose the fields of what they make, not of what they gather.
    const shown = spec.interval === undefined ? shape(event, value) : value
    if (events.length < MOST_EVENTS) events.push(JSON.parse(decoder.decode(shown)))
  }
  return { matching, events }
}

/** Undefined of what nobody can read: it is in no stream either. */
function decoded(channel: Channel, value: Uint8Array, version: number): EventOf[Channel] | undefined {
  try {
    return decodeEvent(channel, value, version)
  } catch {
    return undefined
  }
}
