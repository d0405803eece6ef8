import type { z } from 'zod'
import type { LogReader } from '../../adapters/broker/embedded.ts'
import { deadlineAfter } from '../../async/timers.ts'
import { parsePosition, type RecordHeaders } from '../../domain/record.ts'
import { withoutSecrets } from '../../domain/secrets.ts'
import { TapelineError } from '../../errors.ts'
import { recordsSchema, topicsSchema } from '../../gateway/schemas/topics.ts'
import type { Reader } from '../../ports/broker.ts'
import type { ApiClient } from '../api-client.ts'

/** Records of one page; the API gives no more. */
const PAGE_RECORDS = 1000
/** How much longer than it was asked to wait an answer may take. */
const ANSWER_MS = 15_000
const CLOSE_MS = 2_000

const decoder = new TextDecoder()

export interface LogRecord {
  readonly offset: number
  readonly key: string | null
  readonly headers: RecordHeaders
  /** As text; null: a marker or a tombstone. */
  readonly value: string | null
}

interface LogPage {
  readonly records: readonly LogRecord[]
  /** Offsets, ends included, that nobody can read, and why. */
  readonly undecodable?: readonly { readonly from: number; readonly to: number; readonly reason: string }[]
  /** The offset to go on from. */
  readonly next: number
}

export interface LogTopic {
  readonly id: string
  /** Per partition: the first offset that can be read, and the next one to be written. */
  readonly offsets: readonly { readonly earliest: number; readonly end: number }[]
}

/** The records of topics, from a running platform, a broker or a data folder. */
export interface RecordLog {
  /** Raises TOPIC_UNKNOWN. */
  describe(topic: string, signal: AbortSignal): Promise<LogTopic>
  /** What a partition has from an offset on, waiting for something at most so long. Raises OFFSET_OUT_OF_RANGE, TOPIC_UNKNOWN. */
  read(
    position: { readonly topic: string; readonly partition: number; readonly offset: number },
    waitMs: number,
    signal: AbortSignal,
  ): Promise<LogPage>
}

/** Topics of a running platform. `connect` finds it anew for each request: it may have been started again elsewhere. */
export function platformLog(connect: () => ApiClient): RecordLog {
  return {
    async describe(name, signal) {
      const { topics } = await connect().call('/v1/topics?all=true', topicsSchema, signal)
      const topic = topics.find((each) => each.name === name)
      if (topic) return topic
      throw new TapelineError('TOPIC_UNKNOWN', `there is no topic ${name}`)
    },
    async read({ topic, partition, offset }, waitMs, signal) {
      const query = new URLSearchParams({
        partition: String(partition),
        from: String(offset),
        limit: String(PAGE_RECORDS),
        wait: `${waitMs}ms`,
      })
      const path = `/v1/topics/${encodeURIComponent(topic)}/records?${query}`
      const page = await connect().call(path, recordsSchema, signal, { timeoutMs: waitMs + ANSWER_MS })
      const { next, records, undecodable = [] } = page
      return { next, records: records.map(readRecord), undecodable }
    },
  }
}

function readRecord({
  offset,
  key,
  headers,
  value,
}: z.output<typeof recordsSchema>['records'][number]): LogRecord {
  const { position: text, ...rest } = headers
  const position = text === undefined ? undefined : parsePosition(text)
  return { offset, key, value, headers: { ...rest, ...(position && { position }) } as RecordHeaders }
}

/** Topics of a broker, or of a data folder that nothing runs on. Each partition has a reader of its own. */
export function brokerLog(log: LogReader): RecordLog & { close(): Promise<void> } {
  const partitions = new Map<string, { readonly reader: Reader; next: number | undefined }>()

  return {
    async describe(name, signal) {
      const [topic] = await log.describeTopics([name], signal)
      if (topic) return topic
      throw new TapelineError('TOPIC_UNKNOWN', `there is no topic ${name}`)
    },
    async read(position, waitMs, signal) {
      const key = `${position.topic}:${position.partition}`
      const known = partitions.get(key) ?? { reader: await log.openReader(signal), next: undefined }
      partitions.set(key, known)
      const { reader } = known
      if (known.next !== position.offset) await reader.assign([position], signal)
      known.next = undefined
      const [fetch, ...others] = await reader.poll({ maxRecords: PAGE_RECORDS, waitMs }, signal)
      if (fetch === undefined) {
        known.next = position.offset
        return { records: [], next: position.offset }
      }
      switch (fetch.kind) {
        case 'records':
          // What came after it is read again.
          known.next = others.length === 0 ? fetch.nextOffset : undefined
          return {
            next: fetch.nextOffset,
            records: fetch.records.map(({ value, ...rest }) => ({
              ...rest,
              value: value === null ? null : textOf(rest.headers, value),
            })),
          }
        case 'undecodable':
          known.next = others.length === 0 ? fetch.nextOffset : undefined
          return {
            next: fetch.nextOffset,
            records: [],
            undecodable: [{ from: fetch.offset, to: fetch.nextOffset - 1, reason: fetch.reason }],
          }
        case 'truncated':
          throw new TapelineError(
            'OFFSET_OUT_OF_RANGE',
            `offset ${position.offset} cannot be read; there is from ${fetch.earliest} on`,
          )
        case 'deleted':
          throw new TapelineError('TOPIC_UNKNOWN', `the topic ${position.topic} is gone`)
      }
    },
    async close() {
      for (const { reader } of partitions.values()) await reader.close(deadlineAfter(CLOSE_MS))
    },
  }
}

function textOf({ kind }: RecordHeaders, value: Uint8Array): string {
  const text = decoder.decode(value)
  return kind === 'control' ? withoutSecrets(text) : text
}
