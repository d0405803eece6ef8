import type { Status, Trade } from '../../src/domain/events.ts'
import { admit, emptyMemory } from '../../src/domain/reader-rules.ts'
import type { StreamSpec } from '../../src/domain/stream-spec.ts'
import type { Broker, StoredRecord } from '../../src/ports/broker.ts'
import { windowsOfLog } from '../windows-of-log.ts'

const NEVER = new AbortController().signal

/** So long after one trade the next is made, in microseconds. */
export const TRADE_EVERY = 100_000

/** What windows give that a stream has not, and the other way round: the windows of its spec, over the whole fixed topic. */
export function compareWindows(
  spec: StreamSpec,
  fixed: readonly StoredRecord[],
  derived: readonly StoredRecord[],
): number {
  const expected = windowsOfLog({ spec, start: 0 }, fixed).map(
    ({ cause, n, text }) => `${cause}:${n}=${text}`,
  )
  const got = counted(derived).map(({ headers: { position }, value }) => {
    return `${position?.offset}:${position?.n}=${Buffer.from(value ?? [])}`
  })
  const wrong = expected.filter((each, i) => each !== got[i])
  return wrong.length + Math.max(0, got.length - expected.length)
}

/** Trades that are missing between the first and the last published, and lie within no gap that counts. */
export function countSilent(fixed: readonly StoredRecord[], status: readonly StoredRecord[]): number {
  const times = counted(fixed).map((record) => bodyOf<Trade>(record).ts)
  const gaps = counted(status)
    .map((record) => bodyOf<Status>(record))
    .filter(({ state }) => state === 'gap')
  const isCovered = (ts: number): boolean => gaps.some(({ from = 0, to = 0 }) => from <= ts && ts <= to)
  let silent = 0
  for (let ts = Math.min(...times); ts <= Math.max(...times); ts += TRADE_EVERY)
    if (!times.includes(ts) && !isCovered(ts)) silent++
  return silent
}

/** What a reader counts in the fixed topic against what it counts in the dynamic one. */
export function compare(
  fixed: readonly StoredRecord[],
  derived: readonly StoredRecord[],
): { dupF: number; hole: number; phantom: number; dupD: number; trades: number } {
  const idOf = ({ value }: StoredRecord): string =>
    (JSON.parse(Buffer.from(value ?? []).toString()) as Trade).id
  const stored = counted(fixed).map((record) => `${record.offset}=${idOf(record)}`)
  const delivered = counted(derived).map((record) => `${record.headers.position?.offset}=${idOf(record)}`)
  const ids = (positions: readonly string[]): string[] =>
    positions.map((position) => position.split('=')[1] ?? '')
  const twice = (all: readonly string[]): number => all.length - new Set(all).size
  return {
    dupF: twice(ids(stored)),
    hole: stored.filter((each) => !delivered.includes(each)).length,
    phantom: delivered.filter((each) => !stored.includes(each)).length,
    dupD: twice(ids(delivered)),
    trades: stored.length,
  }
}

function bodyOf<T>({ value }: StoredRecord): T {
  return JSON.parse(Buffer.from(value ?? []).toString()) as T
}

function counted(records: readonly StoredRecord[]): StoredRecord[] {
  const memory = emptyMemory()
  return records.filter((record) => admit(memory, record.headers))
}

/** All records of a topic of one partition. */
export async function readAll(broker: Broker, topic: string): Promise<StoredRecord[]> {
  const [description] = (await broker.listTopics(topic, NEVER)).filter(({ name }) => name === topic)
  const end = description?.offsets[0]?.end ?? 0
  const reader = await broker.openReader(AbortSignal.timeout(30_000))
  await reader.assign([{ topic, partition: 0, offset: 0 }], AbortSignal.timeout(30_000))
  const records: StoredRecord[] = []
  while (records.length < end) {
    for (const fetch of await reader.poll({ maxRecords: 1_000, waitMs: 1_000 }, NEVER)) {
      if (fetch.kind === 'records') records.push(...fetch.records)
    }
  }
  await reader.close(AbortSignal.timeout(30_000))
  return records
}
