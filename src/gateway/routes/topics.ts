import { z } from 'zod'
import { formatPosition, type RecordHeaders } from '../../domain/record.ts'
import { withoutSecrets } from '../../domain/secrets.ts'
import { parseDuration } from '../../domain/time.ts'
import { TapelineError } from '../../errors.ts'
import type { PartitionFetch, StoredRecord, TopicDescription, UndecodableBatch } from '../../ports/broker.ts'
import { requireOperator } from '../guard.ts'
import type { GatewayOptions } from '../options.ts'
import { recordsSchema, topicsSchema } from '../schemas/topics.ts'
import { callerIn, deadlineOf, type GatewayServer } from '../server.ts'
import type { Visibility } from '../visible.ts'

interface TopicRouteOptions extends Pick<GatewayOptions, 'broker' | 'dynamicPrefix' | 'topics'> {
  readonly closing: () => boolean
  readonly visible: Visibility
}

const MOST_RECORDS = 1000
const LONGEST_WAIT_MS = 30_000

/** How long one poll of the broker waits, so that a closing gateway is noticed. */
const POLL_MS = 500

/** An answer ends at the record that passes this many bytes. */
const LARGEST_ANSWER = 4 * 1024 * 1024

const waitSchema = z.string().transform((text, context) => {
  const millis = parseDuration(text)
  if (millis !== undefined && millis <= LONGEST_WAIT_MS) return millis
  context.addIssue('is not a duration of at most 30 s')
  return z.NEVER
})

const tags = ['topics']

/** The broker's topics and their raw records. */
export function registerTopics(
  app: GatewayServer,
  { broker, dynamicPrefix, topics: desk, closing, visible }: TopicRouteOptions,
): void {
  app.route({
    method: 'GET',
    url: '/v1/topics',
    schema: {
      operationId: 'listTopics',
      summary: 'Dynamic topics, or all',
      description: 'Dynamic topics are those of the application, and of standing streams. An admin sees all.',
      tags,
      querystring: z.strictObject({
        unknown: z
          .enum(['true', 'false'])
          .optional()
          .describe('true: only dynamic topics that belong to no stream.'),
        all: z.enum(['true', 'false']).optional().describe('true: fixed and internal topics as well.'),
      }),
      response: { 200: topicsSchema },
    },
    config: { errors: ['INPUT_INVALID', 'BROKER_UNAVAILABLE'] },
    handler: async (request, reply) => {
      const { unknown, all } = request.query
      const found =
        unknown === 'true'
          ? await desk.unknown(deadlineOf(reply))
          : await broker.listTopics(all === 'true' ? '' : dynamicPrefix, deadlineOf(reply))
      return { topics: visible.topics(callerIn(request), found).map(summaryOf) }
    },
  })

  app.route({
    method: 'DELETE',
    url: '/v1/topics/:name',
    schema: {
      operationId: 'removeTopic',
      summary: 'Remove a dynamic topic that belongs to no stream',
      description: 'From this machine or with an admin key. A topic that the registry knows is refused.',
      tags,
      params: z.object({ name: z.string().min(1).max(249).describe('Name of a topic.') }),
      response: { 204: z.undefined().describe('Removed.') },
    },
    config: {
      errors: [
        ...(['INPUT_INVALID', 'FORBIDDEN', 'TOPIC_UNKNOWN', 'TOPIC_IN_USE', 'UPGRADE_NEEDED'] as const),
        'BROKER_UNAVAILABLE',
      ],
    },
    handler: async (request, reply) => {
      requireOperator(callerIn(request))
      await desk.remove(request.params.name, deadlineOf(reply))
      return reply.code(204).send()
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/topics/:name/records',
    schema: {
      operationId: 'readRecords',
      summary: 'Raw records of a partition',
      description:
        'For a look at a topic, from this machine or with an admin key. Applications read streams by WebSocket, which leaves out what counts for no reader.',
      tags,
      params: z.object({ name: z.string().min(1).max(200).describe('Name of a topic.') }),
      querystring: z.strictObject({
        partition: z.coerce.number().int().min(0).default(0).describe('A partition, from 0.'),
        from: z
          .string()
          .regex(/^(earliest|latest|\d{1,15})$/, 'is neither earliest, latest nor an offset')
          .default('earliest')
          .describe('earliest, latest, or an offset.'),
        limit: z.coerce
          .number()
          .int()
          .min(1)
          .max(MOST_RECORDS)
          .default(100)
          .describe(`At most so many records, 1 to ${MOST_RECORDS}.`),
        wait: waitSchema
          .optional()
          .describe('How long to wait for the first record: seconds, or text such as 500ms; up to 30s.'),
      }),
      response: { 200: recordsSchema },
    },
    config: {
      errors: ['INPUT_INVALID', 'FORBIDDEN', 'TOPIC_UNKNOWN', 'OFFSET_OUT_OF_RANGE', 'BROKER_UNAVAILABLE'],
    },
    handler: async (request, reply) => {
      requireOperator(callerIn(request))
      const signal = deadlineOf(reply, LONGEST_WAIT_MS + 10_000)
      const { partition, from, limit, wait = 0 } = request.query
      const topic = await describe(request.params.name, signal)
      const range = topic.offsets[partition]
      if (range === undefined) throw noPartition(topic, partition)
      const offset = startOf(from, range)
      if (offset < range.earliest || offset > range.end) throw outOfRange(offset, range)

      const found = await read({ topic: topic.name, partition, offset }, { limit, wait }, signal)
      const records = withinBytes(found.records.slice(0, limit))
      const last = records.at(-1)
      const isWhole = records.length === found.records.length
      const next = isWhole || last === undefined ? found.nextOffset : last.offset + 1
      const undecodable = found.undecodable.filter((batch) => batch.nextOffset <= next)
      return {
        topic: topic.name,
        topicId: topic.id,
        partition,
        earliest: range.earliest,
        end: Math.max(range.end, found.endOffset),
        next,
        records: records.map(viewOf),
        ...(undecodable.length > 0 && {
          undecodable: undecodable.map(({ offset: from, nextOffset, reason }) => ({
            from,
            to: nextOffset - 1,
            reason,
          })),
        }),
      }
    },
  })

  async function describe(name: string, signal: AbortSignal): Promise<TopicDescription> {
    const [topic] = await broker.describeTopics([name], signal)
    if (topic === undefined) throw new TapelineError('TOPIC_UNKNOWN', `there is no topic ${name}`)
    return topic
  }

  /** What one partition has from an offset on, waiting for something at most so long. */
  async function read(
    position: { topic: string; partition: number; offset: number },
    { limit, wait }: { limit: number; wait: number },
    signal: AbortSignal,
  ): Promise<FoundRecords> {
    const reader = await broker.openReader(signal)
    try {
      await reader.assign([position], signal)
      const deadline = performance.now() + wait
      let offset = position.offset
      for (;;) {
        const waitMs = Math.max(0, Math.min(POLL_MS, Math.ceil(deadline - performance.now())))
        const fetches = await reader.poll({ maxRecords: limit, waitMs }, signal)
        const found = mergeFetches(fetches, offset)
        const isAnswer = found.records.length > 0 || found.undecodable.length > 0
        if (isAnswer || performance.now() >= deadline || closing()) return found
        offset = found.nextOffset
      }
    } finally {
      await reader.close(signal)
    }
  }
}

interface FoundRecords {
  readonly records: readonly StoredRecord[]
  readonly undecodable: readonly UndecodableBatch[]
  readonly nextOffset: number
  readonly endOffset: number
}

function mergeFetches(fetches: readonly PartitionFetch[], offset: number): FoundRecords {
  let found: FoundRecords = { records: [], undecodable: [], nextOffset: offset, endOffset: offset }
  for (const fetch of fetches) {
    // What was found in front of a hole is an answer; whoever goes on after it hears of the hole.
    const isHole = fetch.kind === 'truncated' || fetch.kind === 'deleted'
    if (isHole && found.nextOffset > offset) return found
    switch (fetch.kind) {
      case 'records': {
        const { records, nextOffset, endOffset } = fetch
        found = { ...found, records: [...found.records, ...records], nextOffset, endOffset }
        break
      }
      case 'undecodable': {
        const { nextOffset, endOffset } = fetch
        found = { ...found, undecodable: [...found.undecodable, fetch], nextOffset, endOffset }
        break
      }
      case 'truncated':
        throw outOfRange(fetch.position, { earliest: fetch.earliest })
      case 'deleted':
        throw new TapelineError('TOPIC_UNKNOWN', `the topic ${fetch.topic} is gone`)
    }
  }
  return found
}

function startOf(from: string, range: { readonly earliest: number; readonly end: number }): number {
  if (from === 'earliest') return range.earliest
  return from === 'latest' ? range.end : Number(from)
}

function withinBytes(records: readonly StoredRecord[]): readonly StoredRecord[] {
  let bytes = 0
  const tooMany = records.findIndex((record) => {
    const isFull = bytes > LARGEST_ANSWER
    bytes += record.value?.byteLength ?? 0
    return isFull
  })
  return tooMany < 0 ? records : records.slice(0, tooMany)
}

function noPartition({ name, partitions }: TopicDescription, partition: number): TapelineError {
  return new TapelineError('INPUT_INVALID', `${name} has no partition ${partition}`, {
    fields: [
      {
        field: 'partition',
        value: partition,
        message: `${name} has ${partitions} partitions`,
        remedy: `Use 0 to ${partitions - 1}.`,
      },
    ],
  })
}

function outOfRange(offset: number, { earliest, end }: { earliest: number; end?: number }): TapelineError {
  const range = end === undefined ? `from ${earliest} on` : `from ${earliest} to ${end}`
  return new TapelineError('OFFSET_OUT_OF_RANGE', `offset ${offset} cannot be read; there is ${range}`)
}

/** A topic as the API lists it. */
export function summaryOf(topic: TopicDescription): z.output<typeof topicsSchema>['topics'][number] {
  const { name, id, partitions, compacted, retentionMs, offsets } = topic
  const earliest = offsets.reduce((sum, range) => sum + range.earliest, 0)
  const end = offsets.reduce((sum, range) => sum + range.end, 0)
  return {
    name,
    id,
    partitions,
    compacted,
    ...(retentionMs !== undefined && { retentionMs }),
    earliest,
    end,
    offsets: [...offsets],
  }
}

function viewOf(record: StoredRecord): z.output<typeof recordsSchema>['records'][number] {
  const { offset, timestamp, key, headers, value } = record
  return {
    offset,
    timestamp: new Date(timestamp).toISOString(),
    key,
    headers: headersOf(headers),
    value: value === null ? null : textOf(headers, value),
  }
}

function headersOf({
  position,
  ...rest
}: RecordHeaders): z.output<typeof recordsSchema>['records'][number]['headers'] {
  return position === undefined ? rest : { ...rest, position: formatPosition(position) }
}

function textOf({ kind }: RecordHeaders, value: Uint8Array): string {
  const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8')
  return kind === 'control' ? withoutSecrets(text) : text
}
