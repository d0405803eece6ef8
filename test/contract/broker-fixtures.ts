import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Broker, OutgoingRecord, PartitionFetch, Reader, StoredRecord } from '../../src/ports/broker.ts'

/** Opens a broker for one test. */
export type OpenBroker = () => Promise<{
  readonly broker: Broker
  /** Also removes what it left. */
  readonly close: () => Promise<void>
  /** Spoils, where it is kept, the batch of a partition that holds a text; for logs that lie on a disk. */
  readonly spoil?: (topic: string, partition: number, text: string) => Promise<void>
}>

/** A signal that ends the test's wait long before the runner gives up. */
export function deadline(): AbortSignal {
  return AbortSignal.timeout(30_000)
}

export function uniqueName(prefix = 'topic'): string {
  return `${prefix}.${randomUUID()}`
}

/** A broker for one test. */
export async function openFor(t: TestContext, open: OpenBroker): Promise<Broker> {
  const { broker, close } = await open()
  t.after(close)
  return broker
}

/** A record whose value is text. */
export function textRecord(text: string, key: string | null = null): OutgoingRecord {
  return { key, value: Buffer.from(text), headers: { v: 1, kind: 'event' } }
}

export function textOf({ value }: StoredRecord): string | null {
  return value === null ? null : Buffer.from(value).toString()
}

/** Waits until a condition holds; fails after a while. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 20_000
  while (!(await condition())) {
    assert.ok(Date.now() < end, `${what}: not so after 20 s`)
    await delay(2)
  }
}

/** Polls until `enough` says so, and returns everything that came. */
export async function pollUntil(
  reader: Reader,
  enough: (fetches: readonly PartitionFetch[]) => boolean,
  maxRecords = 1_000,
): Promise<PartitionFetch[]> {
  const all: PartitionFetch[] = []
  const signal = deadline()
  while (!enough(all)) all.push(...(await reader.poll({ maxRecords, waitMs: 1_000 }, signal)))
  return all
}

/** The records of fetches, in the order in which they came. */
export function recordsOf(fetches: readonly PartitionFetch[]): StoredRecord[] {
  return fetches.flatMap((fetch) => (fetch.kind === 'records' ? fetch.records : []))
}

/** All records of one partition from an offset to its end. */
export async function readToEnd(
  broker: Broker,
  topic: string,
  partition = 0,
  offset = 0,
): Promise<StoredRecord[]> {
  const reader = await broker.openReader(deadline())
  try {
    const [description] = await broker.listTopics(topic, deadline())
    const end = description?.offsets[partition]?.end ?? 0
    await reader.assign([{ topic, partition, offset }], deadline())
    let next = offset
    const fetches = await pollUntil(reader, (all) => {
      for (const fetch of all) if (fetch.kind === 'records') next = fetch.nextOffset
      return next >= end
    })
    return recordsOf(fetches)
  } finally {
    await reader.close(deadline())
  }
}

/** Makes a topic of its own for a test. */
export async function makeTopic(broker: Broker, partitions = 1): Promise<string> {
  const name = uniqueName()
  await broker.createTopics([{ name, partitions }], deadline())
  return name
}

/** Deletes topics by their names, whichever they are at present. */
export async function removeTopics(broker: Broker, names: readonly string[]): Promise<void> {
  const ids = await broker.topicIds(names, deadline())
  await broker.deleteTopics(
    [...ids].map(([name, id]) => ({ name, id })),
    deadline(),
  )
}
