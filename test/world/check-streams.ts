import { matchesMarket } from '../../src/domain/routing.ts'
import { windowsOfLog } from '../windows-of-log.ts'
import {
  anewFrom,
  compareLists,
  type DynamicRecord,
  type FixedRecord,
  holesIn,
  isGone,
  type LostFixed,
  normal,
  readableIn,
  readDerived,
  type readFixed,
  resetsIn,
  topicById,
} from './evidence.ts'
import type { MemoryBroker } from './memory-broker.ts'
import type { MemoryPartition, MemoryTopic } from './memory-log.ts'
import { NAMES } from './names.ts'
import type { Registered, RegisteredStream } from './registered.ts'
import { tailored } from './tailored.ts'
import type { Violation } from './violations.ts'

type Fixed = ReturnType<typeof readFixed>

/** R4: each dynamic topic holds the matching fixed records from its stream's start on, each once, in order. */
export function checkDynamic(
  registered: Registered,
  broker: MemoryBroker,
  fixed: Fixed,
  lost: LostFixed,
): Violation[] {
  return [...registered.streams.values()].flatMap((stream): Violation[] => {
    const topic = topicById(broker, stream.topicId)
    if (topic === undefined || broker.takenAway.has(topic.id)) return []
    const records: readonly FixedRecord[] = fixed[stream.spec.channel]
    const byShard = Map.groupBy(records, ({ shard }) => shard)
    if ((stream.spec.every ?? stream.spec.interval) !== undefined)
      return (broker.topics.get(NAMES.fixed[stream.spec.channel])?.partitions ?? []).flatMap((partition) =>
        checkWindows(stream, topic, partition),
      )
    return [...byShard].flatMap(([shard, ofShard]) => checkShard(stream, shard, topic, ofShard, lost))
  })
}

function checkShard(
  stream: RegisteredStream,
  shard: number,
  topic: MemoryTopic,
  fixed: readonly FixedRecord[],
  lost: LostFixed,
): Violation[] {
  const { channel } = stream.spec
  const wanted = fixed.flatMap((record) => asked(stream, record) ?? [])
  const start = stream.start[shard] ?? 0
  const holes = holesIn(topic)
  const nameOf = ({ offset, text }: { readonly offset: number; readonly text: string }): string =>
    `${offset} ${text}`
  const wantedNames = new Set(wanted.map(nameOf))
  const namesOf = (records: readonly FixedRecord[]): string[] =>
    records
      .filter((record) => record.shard === shard)
      .flatMap((record) => asked(stream, record) ?? [])
      .map(nameOf)
  // What came in the place of an end that was lost may be left out before the place where the stream begins anew, and before its start.
  const begins = Math.max(start, anewFrom(topic, shard))
  const mayHave = new Set([
    ...namesOf(lost.records[channel]),
    // Who derives cannot read the marker of an owner either, behind which a former one wrote.
    ...namesOf(lost.unmarked[channel]).filter((name) => !wantedNames.has(name)),
    ...wanted
      .filter((record) => record.offset < begins)
      .filter(({ offset }) => lost.isAgain(channel, shard, offset))
      .map(nameOf),
  ])
  const mayLack = lostDerived(topic, shard)
  const compare = (allDerived: readonly DynamicRecord[]): string | undefined => {
    const derivedNames = new Set(allDerived.map(({ cause, text }) => nameOf({ offset: cause, text })))
    const expected = wanted
      .filter((record) => record.offset >= start)
      .filter(({ offset }) => !isGone(holes, `${shard}`, offset))
      .map(nameOf)
      .filter((name) => !mayHave.has(name))
      .filter((name) => derivedNames.has(name) || !mayLack.has(name))
    const derived = allDerived
      .filter(({ cause }) => !isGone(holes, `${shard}`, cause))
      .filter(({ at }) => at <= (stream.endedAt ?? at))
      .map(({ cause, text }) => ({ cause, name: nameOf({ offset: cause, text }) }))
      .filter(
        ({ cause, name }) => (cause >= start || lost.isAgain(channel, shard, cause)) && !mayHave.has(name),
      )
      .map(({ name }) => name)
    return compareLists(expected, derived, stream.state === 'ready')
  }
  // What rotted before anybody read it counts for nobody: an owner derives it again.
  const problems = [compare(readDerived(topic, shard)), compare(readDerived(topic, shard, readableIn(topic)))]
  const problem = problems.includes(undefined) ? undefined : problems[0]
  return problem === undefined
    ? []
    : [
        {
          promise: 'dynamic topic',
          detail: `${stream.topic} (${stream.spec.channel} ${stream.spec.symbols}) of shard ${shard} from ${start}: ${problem}`,
        },
      ]
}

/** R21, R22: a stream with windows holds what they give, each at its place. Where its readers were told of a hole, or a log has lost its end, nothing comes twice. */
function checkWindows(stream: RegisteredStream, topic: MemoryTopic, partition: MemoryPartition): Violation[] {
  const shard = partition.number
  // A stream of quotes begins with the latest ones, which are of no window.
  const start = stream.start[shard] ?? 0
  const derived = readDerived(topic, shard).filter(
    ({ cause, at }) => cause >= start && at <= (stream.endedAt ?? at),
  )
  const nameOf = ({ cause, n, text }: Pick<DynamicRecord, 'cause' | 'n' | 'text'>): string =>
    `${cause}:${n} ${text}`
  const found = derived.map(nameOf)
  const hasLost = partition.lostEnds.length + (topic.partitions[0]?.lostEnds.length ?? 0) > 0
  const isExact = !hasLost && partition.everRotten.length === 0 && resetsIn(topic).length === 0
  const expected = isExact
    ? windowsOfLog({ ...stream, start }, partition.archive).map(nameOf)
    : [...new Set(found)]
  const problem = compareLists(expected, found, isExact && stream.state === 'ready')
  const what = `${stream.topic} (${JSON.stringify(stream.spec)}) of shard ${shard} from ${start}`
  return problem === undefined ? [] : [{ promise: 'dynamic topic', detail: `${what}: ${problem}` }]
}

/**
 * What may be missing of a shard in the topic of a stream: it lay in an end that was lost, and nobody who derives could tell. That is so where the
 * owner of another shard had written beyond the place before, where a second loss took what had come again, and for as long as nothing more comes for
 * the stream.
 */
function lostDerived(topic: MemoryTopic, shard: number): Set<string> {
  const { lostEnds = [], archive = [] } = topic.partitions[0] ?? {}
  const records = [...archive, ...lostEnds.flatMap((lost) => lost.records)]
  const shards = new Set(records.flatMap(({ headers }) => headers.shard ?? []))
  const isSilent = archive.every(({ offset }) => offset < (lostEnds.at(-1)?.from ?? 0))
  if (lostEnds.length < 2 && shards.size < 2 && !isSilent) return new Set()
  const lost = lostEnds
    .flatMap((end) => end.records)
    .filter(({ headers }) => headers.position?.partition === shard)
  return new Set(
    lost.map(({ headers, value }) => `${headers.position?.offset} ${normal(value ?? new Uint8Array())}`),
  )
}

/** A record as a stream asks for it; undefined where it does not. */
function asked({ spec }: RegisteredStream, record: FixedRecord): FixedRecord | undefined {
  const { event, reentering, text: whole } = record
  const { exchange, symbol = '' } = event
  if (reentering || !matchesMarket(spec, spec.channel, exchange, symbol)) return undefined
  const text = tailored(spec, event, whole)
  return text === undefined ? undefined : { ...record, text }
}

/** R10, R13: the registry and the topics agree, nothing is left half done, and nothing of others is touched. */
export function checkRegistry(
  registered: Registered,
  broker: MemoryBroker,
  foreign: readonly MemoryTopic[],
): Violation[] {
  const violations: Violation[] = []
  const streams = [...registered.streams.values()]
  for (const { topic, topicId, state, leases } of streams) {
    if (state === 'gone') continue
    const isKept = [...registered.leases.values()].some(({ id, former }) =>
      former?.some(({ streamId }) => streamId === topic && isLive(registered, id)),
    )
    if (state === 'kept' && isKept) continue
    if (state !== 'ready') violations.push({ promise: 'registry', detail: `${topic} is ${state}` })
    else if (broker.topics.get(topic)?.id !== topicId)
      violations.push({ promise: 'registry', detail: `${topic} is ready, and its topic is not there` })
    if (leases.size === 0)
      violations.push({ promise: 'registry', detail: `${topic} has no lease and is still ${state}` })
  }
  for (const topic of foreign)
    if (broker.topics.get(topic.spec.name) !== topic)
      violations.push({ promise: 'foreign', detail: `${topic.spec.name} of others was deleted` })
  for (const id of broker.madeByOthers) {
    const topic = topicById(broker, id)
    if (topic !== undefined && broker.removed.includes(topic) && !broker.takenAway.has(id))
      violations.push({ promise: 'foreign', detail: `${topic.spec.name}, made anew by others, was deleted` })
  }
  const known = new Set(streams.filter(({ state }) => state !== 'gone').map(({ topic }) => topic))
  for (const topic of broker.topics.values())
    if (
      topic.spec.name.startsWith(NAMES.dynamic) &&
      !known.has(topic.spec.name) &&
      !foreign.includes(topic) &&
      !broker.madeByOthers.has(topic.id)
    )
      violations.push({ promise: 'registry', detail: `nobody knows the topic ${topic.spec.name}` })
  return violations
}

function isLive({ streams }: Registered, leaseId: string): boolean {
  return [...streams.values()].some(({ leases }) => leases.has(leaseId))
}
