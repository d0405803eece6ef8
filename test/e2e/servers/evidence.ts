import { readRanges } from '../../../src/control/read-range.ts'
import { decodeRegistry, type LeaseRecord, type StreamRecord } from '../../../src/control/registry-records.ts'
import { findTopic } from '../../../src/control/topics.ts'
import { admit, emptyMemory, type ReaderMemory } from '../../../src/domain/reader-rules.ts'
import type { RecordHeaders } from '../../../src/domain/record.ts'
import type { Broker, StoredRecord } from '../../../src/ports/broker.ts'
import { type LedgerTrade, readLedger } from '../ledger.ts'
import type { Cluster } from './cluster.ts'

/** How long reading a topic may take. */
const READ_MS = 120_000

/** A trade in a topic, where it lies and what it carries. */
export interface PublishedTrade {
  readonly partition: number
  readonly offset: number
  readonly headers: RecordHeaders
  readonly trade: LedgerTrade
}

/** A gap in `status`: event times in microseconds, both ends included. */
export interface FlaggedGap {
  readonly exchange: string
  readonly symbol: string | null
  readonly from: number | null
  readonly to: number | null
  readonly detail: string
}

/** What ledger, broker and database hold, read from themselves and not through the platform. */
export interface Evidence {
  readonly emitted: readonly LedgerTrade[]
  readonly stored: readonly LedgerTrade[]
  readonly gaps: readonly FlaggedGap[]
  /** The trades of the fixed topic that count for a reader (R8). */
  readonly published: readonly PublishedTrade[]
  readonly leases: ReadonlyMap<string, LeaseRecord>
  readonly streams: ReadonlyMap<string, StreamRecord>
  /** What a dynamic topic holds that counts for a reader; undefined where there is no such topic. */
  readonly topic: (name: string) => readonly PublishedTrade[] | undefined
}

/** Reads everything; nothing may move any more. */
export async function gatherEvidence(cluster: Cluster): Promise<Evidence> {
  const broker = await cluster.openBroker()
  try {
    const { leases, streams } = await readRegistry(broker, cluster.topics.registry)
    const topics = new Map<string, readonly PublishedTrade[]>()
    for (const { topic } of streams.values()) {
      const trades = await readTrades(broker, topic)
      if (trades !== undefined) topics.set(topic, trades)
    }
    return {
      emitted: await readLedger(cluster.ledger),
      stored: await readRows(cluster),
      gaps: await readGaps(cluster),
      published: (await readTrades(broker, cluster.topics.fixed.trade)) ?? [],
      ...{ leases, streams },
      topic: (name) => topics.get(name),
    }
  } finally {
    await broker.close()
  }
}

const MICROS = (column: string): string => `(extract(epoch from ${column}) * 1000000)::bigint`

async function readRows(cluster: Cluster): Promise<LedgerTrade[]> {
  const rows = await cluster.sql<LedgerTrade & { ts: string }>(
    `select exchange, symbol, id, side, price, size, ${MICROS('ts')} as ts from trades`,
  )
  return rows.map((row) => ({ ...row, ts: Number(row.ts) }))
}

async function readGaps(cluster: Cluster): Promise<FlaggedGap[]> {
  const rows = await cluster.sql<{
    exchange: string
    symbol: string | null
    from_micros: string | null
    to_micros: string | null
    detail: string
  }>(
    `select exchange, symbol, ${MICROS('from_ts')} as from_micros, ${MICROS('to_ts')} as to_micros, detail
     from status where state = 'gap'`,
  )
  const micros = (text: string | null): number | null => (text === null ? null : Number(text))
  return rows.map(({ from_micros, to_micros, ...gap }) => ({
    ...gap,
    from: micros(from_micros),
    to: micros(to_micros),
  }))
}

async function readRegistry(broker: Broker, registry: string): Promise<Pick<Evidence, 'leases' | 'streams'>> {
  const leases = new Map<string, LeaseRecord>()
  const streams = new Map<string, StreamRecord>()
  await readAll(broker, registry, (_partition, { value }) => {
    if (value === null) return
    const record = decodeRegistry(value)
    if (record.kind === 'lease') leases.set(record.id, record)
    if (record.kind === 'stream') streams.set(record.id, record)
  })
  return { leases, streams }
}

async function readTrades(broker: Broker, topic: string): Promise<PublishedTrade[] | undefined> {
  const trades: PublishedTrade[] = []
  const memories = new Map<number, ReaderMemory>()
  const decoder = new TextDecoder()
  const isThere = await readAll(broker, topic, (partition, { offset, headers, value }) => {
    const memory = memories.get(partition) ?? emptyMemory()
    memories.set(partition, memory)
    if (!admit(memory, headers) || value === null) return
    trades.push({ partition, offset, headers, trade: JSON.parse(decoder.decode(value)) as LedgerTrade })
  })
  return isThere ? trades : undefined
}

/** Reads a topic from its beginning to its end as of now; gives whether it is there. */
export async function readAll(
  broker: Broker,
  topic: string,
  take: (partition: number, record: StoredRecord) => void,
): Promise<boolean> {
  const signal = AbortSignal.timeout(READ_MS)
  const found = await findTopic(broker, topic, signal)
  if (found === undefined) return false
  const ranges = found.offsets.map(({ earliest, end }, partition) => ({
    topic,
    partition,
    offset: earliest,
    end,
  }))
  await readRanges(
    broker,
    ranges,
    ({ partition, records }) => {
      for (const record of records) take(partition, record)
    },
    signal,
  )
  return true
}
