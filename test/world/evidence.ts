import { decodeEvent } from '../../src/domain/event-codec.ts'
import { CHANNELS, type Channel, type EventOf, fixedTopic, marketKey } from '../../src/domain/events.ts'
import {
  admit,
  copyMemory,
  emptyMemory,
  isOfFormerOwner,
  type ReaderMemory,
  raise,
} from '../../src/domain/reader-rules.ts'
import type { StoredRecord } from '../../src/ports/broker.ts'
import type { MemoryBroker } from './memory-broker.ts'
import type { MemoryPartition, MemoryTopic, RottenBatch } from './memory-log.ts'
import type { MemoryStore } from './memory-store.ts'

/** A record of a fixed topic that counts, decoded. */
export interface FixedRecord<C extends Channel = Channel> {
  readonly shard: number
  readonly offset: number
  readonly event: EventOf[C]
  readonly market: string
  readonly reentering: boolean
  readonly text: string
  /** When it was published. */
  readonly at: number
  /** Whether retention has removed it since, or it has become rotten. */
  readonly isGone: boolean
}

/** A record of a dynamic topic that counts. */
export interface DynamicRecord {
  readonly offset: number
  readonly shard: number
  readonly cause: number
  readonly n: number
  readonly text: string
  /** When it was published. */
  readonly at: number
}

/** What counts in each fixed topic, by the readers' rule: everything that was ever written, also what retention has removed. */
export function readFixed(broker: MemoryBroker): { readonly [C in Channel]: readonly FixedRecord<C>[] } {
  return Object.fromEntries(
    CHANNELS.map((channel) => {
      const topic = broker.topics.get(fixedTopic('market', channel))
      const records = (topic?.partitions ?? []).flatMap((partition) =>
        counted(partition.archive).map((record) => decodeFixed(channel, partition, record)),
      )
      return [channel, records]
    }),
  ) as unknown as { [C in Channel]: FixedRecord<C>[] }
}

/** What lay in the ends that fixed topics have lost, whether it counted or not; and which offsets came a second time there. */
export function readLost(broker: MemoryBroker): LostFixed {
  const records = { trade: [], quote: [], candle: [], book: [], status: [] }
  const unmarked = { trade: [], quote: [], candle: [], book: [], status: [] }
  const ranges = new Map<string, { readonly from: number; readonly to: number }[]>()
  for (const channel of CHANNELS)
    for (const partition of broker.topics.get(fixedTopic('market', channel))?.partitions ?? []) {
      const { number, lostEnds, everRotten, archive } = partition
      if (everRotten.length > 0) {
        const readable = archive.filter(({ offset }) => !isRotten(everRotten, offset))
        for (const record of counted(readable))
          (unmarked[channel] as FixedRecord[]).push(decodeFixed(channel, partition, record))
      }
      if (lostEnds.length > 0) ranges.set(placeOf(channel, number), lostEnds)
      for (const record of lostEnds.flatMap((lost) => lost.records))
        if (record.headers.kind === 'event' && record.value !== null)
          (records[channel] as FixedRecord[]).push(decodeFixed(channel, partition, record))
    }
  return {
    ...{ records, unmarked },
    isAgain: (channel, shard, offset) =>
      ranges.get(placeOf(channel, shard))?.some(({ from, to }) => from <= offset && offset < to) ?? false,
  }
}

/** What fixed topics have lost with their ends. */
export interface LostFixed {
  readonly records: { readonly [C in Channel]: readonly FixedRecord<C>[] }
  /** What counts for who could not read the marker of an owner: late records of the one before may be among it. */
  readonly unmarked: { readonly [C in Channel]: readonly FixedRecord<C>[] }
  /** Whether an offset was given once before, to what was lost. */
  isAgain(channel: Channel, shard: number, offset: number): boolean
}

/** What records say, by their bytes: a world looks at all of them again every few seconds until it is at rest. */
const decoded = new WeakMap<Uint8Array, EventOf[Channel]>()
const normalised = new WeakMap<Uint8Array, string>()

function placeOf(channel: Channel, shard: number): string {
  return `${channel}:${shard}`
}

function decodeFixed(channel: Channel, partition: MemoryPartition, record: StoredRecord): FixedRecord {
  const { number: shard, earliest, rotten } = partition
  const { offset, value, headers } = record
  const bytes = value ?? new Uint8Array()
  const event = decoded.get(bytes) ?? decodeEvent(channel, bytes, headers.v)
  decoded.set(bytes, event)
  return {
    ...{ shard, offset, event, market: marketKey(event), reentering: headers.reentering === true },
    ...{ text: normal(bytes), at: record.timestamp, isGone: offset < earliest || isRotten(rotten, offset) },
  }
}

/** All that a dynamic topic has ever had: as it is now, and as it was before it lost its end, each time; the last first. */
export function versionsOf(topic: MemoryTopic): (readonly StoredRecord[])[] {
  const { archive = [], lostEnds = [] } = topic.partitions[0] ?? {}
  const versions: (readonly StoredRecord[])[] = [archive]
  for (const { from, records } of lostEnds.toReversed()) {
    const later = versions.at(-1) ?? []
    versions.push([...later.filter(({ offset }) => offset < from), ...records])
  }
  return versions
}

/**
 * What a dynamic topic has for who has read some of an end that it lost, and reads on behind that place once it has grown again: nothing tells that reader where
 * all that came in front of the place is what it has.
 */
export function readOnVersions(topic: MemoryTopic): (readonly StoredRecord[])[] {
  const { lostEnds = [] } = topic.partitions[0] ?? {}
  const archive = readableIn(topic)
  return lostEnds.flatMap(({ from, records }) => {
    const inFront = archive.filter(({ offset }) => offset < from)
    return records.flatMap((last): (readonly StoredRecord[])[] => {
      const read = records.filter(({ offset }) => offset <= last.offset)
      const known = new Set(read.map(causeOf))
      const isKnown = archive
        .filter(({ offset, headers }) => from <= offset && offset <= last.offset && headers.kind === 'event')
        .every((record) => known.has(causeOf(record)))
      const after = archive.filter(({ offset }) => offset > last.offset)
      return isKnown ? [[...inFront, ...read, ...after]] : []
    })
  })
}

function causeOf({ headers: { position, shard }, value }: StoredRecord): string {
  return `${shard}:${position?.offset}:${position?.n ?? 0} ${value}`
}

/** What a topic has that can be read. */
export function readableIn(topic: MemoryTopic): readonly StoredRecord[] {
  const { archive = [], rotten = [] } = topic.partitions[0] ?? {}
  return archive.filter(({ offset }) => !isRotten(rotten, offset))
}

/** What counts in a dynamic topic, also of what has become rotten since. */
export function readDynamic(
  topic: MemoryTopic,
  records: readonly StoredRecord[] = topic.partitions[0]?.archive ?? [],
  memory = emptyMemory(),
): DynamicRecord[] {
  return decodeDynamic(records, memory)
}

/**
 * What counts in a dynamic topic for who reads it from an offset on, and has read nothing of what is rotten before: also what was derived again in its place. `told`: where
 * the batches end of which it was told that they cannot be read; the others it has read before they rotted.
 */
export function readUnrotten(
  topic: MemoryTopic,
  from: number,
  records: readonly StoredRecord[],
  memory = emptyMemory(),
  told?: readonly number[],
): DynamicRecord[] {
  const { rotten = [] } = topic.partitions[0] ?? {}
  const unread = rotten.filter(({ to }) => told?.includes(to) ?? true)
  return decodeDynamic(
    records.filter(({ offset }) => offset >= from || !isRotten(unread, offset)),
    memory,
  )
}

/**
 * What counts for who comes to a dynamic topic at an offset with positions from elsewhere. What the topic says in front of that place, such as that a fixed
 * partition begins anew, is no news to it.
 */
export function readJoined(
  from: number,
  records: readonly StoredRecord[],
  { positions }: ReaderMemory,
): DynamicRecord[] {
  const memory = emptyMemory()
  decodeDynamic(
    records.filter(({ offset }) => offset < from),
    memory,
  )
  return decodeDynamic(
    records.filter(({ offset }) => offset >= from),
    raise(memory, positions),
  )
}

function decodeDynamic(records: readonly StoredRecord[], memory: ReaderMemory): DynamicRecord[] {
  return counted(records, memory).map(({ offset, headers, value, timestamp }) => ({
    ...{ offset, at: timestamp },
    shard: headers.position?.partition ?? -1,
    cause: headers.position?.offset ?? -1,
    n: headers.position?.n ?? 0,
    text: normal(value ?? new Uint8Array()),
  }))
}

/**
 * What a stream holds of a fixed partition, as who reads it from its beginning counts it: where that partition begins anew, what the
 * stream has of it from there on comes again.
 */
export function readDerived(
  topic: MemoryTopic,
  shard: number,
  records: readonly StoredRecord[] = topic.partitions[0]?.archive ?? [],
): DynamicRecord[] {
  const byOffset = new Map(readDynamic(topic, records).map((record) => [record.offset, record]))
  let found: DynamicRecord[] = []
  for (const { offset, headers } of ofOwners(records)) {
    const record = byOffset.get(offset)
    if (record?.shard === shard) found.push(record)
    const { kind, position } = headers
    if (kind === 'marker' && position?.partition === shard)
      found = found.filter(({ cause }) => cause < position.offset)
  }
  return found
}

/** The records of a dynamic topic, without those that a former owner wrote too late: its markers count as little as its events. */
function ofOwners(records: readonly StoredRecord[]): StoredRecord[] {
  const memory = emptyMemory()
  return records.filter(({ headers }) => {
    const isFormer = isOfFormerOwner(memory, headers)
    admit(memory, headers)
    return !isFormer
  })
}

/** From which fixed offset of a shard on a stream says last that it begins anew; -1 where it never did. */
export function anewFrom(topic: MemoryTopic, shard: number): number {
  const markers = ofOwners(topic.partitions[0]?.archive ?? []).filter(
    ({ headers }) => headers.kind === 'marker',
  )
  const positions = markers.flatMap(({ headers: { position } }) => position ?? [])
  return positions.findLast(({ partition }) => partition === shard)?.offset ?? -1
}

/** Behind which places of a dynamic topic its readers are told `reset`. */
export function resetsIn(topic: MemoryTopic): number[] {
  const { archive = [], rotten = [] } = topic.partitions[0] ?? {}
  const told = archive.filter(({ headers, value }) => headers.kind === 'marker' && value !== null)
  return [...told.map(({ offset }) => offset + 1), ...rotten.map(({ to }) => to)]
}

/** Records of a partition that are gone for good, as somebody was told: both ends are gone. */
export interface Hole {
  readonly place: string
  readonly from: number
  readonly to: number
  /** Whether it is told that they cannot be read. */
  readonly isRotten: boolean
}

/** What the markers in a dynamic topic tell of fixed records that are gone, by shard. */
export function holesIn(topic: MemoryTopic): Hole[] {
  const records = topic.partitions[0]?.archive ?? []
  return records.flatMap(({ headers, value }) => {
    if (headers.kind !== 'marker' || value === null) return []
    const told = /fixed records (\d+) to (\d+) of shard (\d+) are gone: (they cannot)?/.exec(
      `${Buffer.from(value)}`,
    )
    return told ? [holeOf(told)] : []
  })
}

/** What the table `status` tells of fixed records that were gone, or rotten, before they were stored, by `topic:partition`. */
export function holesInRows(store: MemoryStore): Hole[] {
  return (store.rows.get('status') ?? []).flatMap((row) => {
    const told = /offsets (\d+) to (\d+) of (\S+) (?:before they were stored|(cannot be read))/.exec(row)
    return told ? [holeOf(told)] : []
  })
}

function holeOf([, from, to, place = '', rotten]: RegExpExecArray): Hole {
  return { place, from: Number(from), to: Number(to), isRotten: rotten !== undefined }
}

/** Whether a record lies in one of these holes. */
export function isGone(holes: readonly Hole[], where: string, offset: number): boolean {
  return holes.some(({ place, from, to }) => place === where && from <= offset && offset <= to)
}

function isRotten(rotten: readonly RottenBatch[], at: number): boolean {
  return rotten.some(({ from, to }) => from <= at && at < to)
}

function counted(records: readonly StoredRecord[], from = emptyMemory()): StoredRecord[] {
  const memory = copyMemory(from)
  return records.filter((record) => admit(memory, record.headers) && record.value !== null)
}

/** The JSON of an event as an application prints it again. */
export function normal(bytes: Uint8Array): string {
  const text = normalised.get(bytes) ?? JSON.stringify(JSON.parse(Buffer.from(bytes).toString()))
  normalised.set(bytes, text)
  return text
}

export function topicById(broker: MemoryBroker, id: string): MemoryTopic | undefined {
  return [...broker.topics.values(), ...broker.removed].find((topic) => topic.id === id)
}

/** What is wrong with a list that should equal another, or its beginning. */
export function compareLists(
  expected: readonly string[],
  found: readonly string[],
  isWhole: boolean,
): string | undefined {
  for (const [i, each] of found.entries()) {
    if (each === expected[i]) continue
    const isRepeat = found.indexOf(each) < i
    return `at ${i} of ${expected.length} it has ${isRepeat ? 'again ' : ''}${each}, not ${expected[i] ?? 'nothing'}`
  }
  if (!isWhole || found.length === expected.length) return undefined
  return `${expected.length - found.length} of ${expected.length} are missing at its end, from ${expected[found.length]} on`
}
