import type { LeaseRecord } from '../../src/control/registry-records.ts'
import { CHANNELS } from '../../src/domain/events.ts'
import { emptyMemory, positionsBefore, type ReaderMemory, raise } from '../../src/domain/reader-rules.ts'
import type { StoredRecord } from '../../src/ports/broker.ts'
import type { Application, Part } from './application.ts'
import {
  compareLists,
  type DynamicRecord,
  type LostFixed,
  normal,
  readDynamic,
  readJoined,
  readOnVersions,
  readUnrotten,
  resetsIn,
  topicById,
  versionsOf,
} from './evidence.ts'
import type { MemoryBroker } from './memory-broker.ts'
import type { MemoryTopic } from './memory-log.ts'
import { NAMES } from './names.ts'
import type { Registered } from './registered.ts'
import type { Violation } from './violations.ts'

/** R6, R13: each application got exactly its dynamic topic from its cursor on, or was told. */
export function checkApplication(
  application: Application,
  broker: MemoryBroker,
  registered: Registered,
  lost: LostFixed,
): Violation[] {
  const { name, parts, ending, lease, losses } = application
  const violation = (detail: string): Violation => ({ promise: 'application', detail: `${name}: ${detail}` })
  const unasked = losses.filter((loss) => !broker.takenAway.has(lastTopicOf(registered, loss.lease) ?? ''))
  const complaints = [...application.complaints, ...unasked.map(({ complaint }) => complaint)].map(
    (complaint) =>
      complaint.startsWith('deleted')
        ? ({ promise: 'request', detail: `${name}: ${complaint}` } as const)
        : violation(complaint),
  )
  if (lease === undefined)
    return [...complaints, { promise: 'request', detail: `${name} never got its stream` }]
  if (ending === 'live' && broker.takenAway.has(lastTopicOf(registered, lease.id) ?? lease.topicId))
    return [
      ...complaints,
      violation('it was not told that somebody else deleted its topic, or got the same again'),
    ]
  if (ending === 'live' && parts.length === 0) return [...complaints, violation('it was never subscribed')]
  return [
    ...complaints,
    ...parts.flatMap((part, i): Violation[] => {
      const topic = topicById(broker, part.topicId)
      if (topic === undefined) return [violation(`its topic ${part.topicId} never was`)]
      const isLast = i === parts.length - 1
      // Of a part that another one follows in a new topic it has all that lies in front of the seam.
      const isWhole = (ending === 'live' && isLast) || parts[i + 1]?.isMoved === true
      const seam = seamOf(registered, part.lease, part.topicId)
      const compare = (records: readonly DynamicRecord[]): string | undefined => {
        const expected = records.filter(({ offset }) => offset >= part.offset)
        return compareUpTo(seam, expected, part.events, isWhole)
      }
      // A part that ended before the log lost its end has what lay there.
      const [now = [], ...former] = versionsOf(topic)
      const versions = [now, ...(isWhole && isLast ? [] : former), ...readOnVersions(topic)]
      // After a reset all begins anew.
      const first = parts.findLastIndex(({ reset }, k) => k <= i && reset !== undefined)
      const since = parts.slice(Math.max(0, first), i + 1)
      const beginnings = (own: readonly Part[]) =>
        (own.length === 0 ? [] : [true, false]).map((isOfNow) =>
          beginningOf(registered, part.lease, own, broker, isOfNow),
        )
      // What a fixed topic has lost may have been lost before the move, or later; and a reset may be of another partition.
      const memories = part.isMoved
        ? [...beginnings(since), ...(first > 0 ? beginnings(parts.slice(0, i + 1)) : [])]
        : [
            part.memory ?? beginningOf(registered, part.lease, [part], broker),
            ...comingsTo(parts, i).flatMap(beginnings),
          ]
      const told = parts
        .slice(0, i + 1)
        .flatMap(({ topicId, reset, offset }) =>
          topicId === part.topicId && reset?.includes('cannot be read') ? [offset] : [],
        )
      const problems = versions.flatMap((version) =>
        memories.flatMap((memory) => [
          ...(part.isMoved && memory ? [compare(readJoined(part.offset, version, memory))] : []),
          compare(readDynamic(topic, version, memory)),
          compare(readUnrotten(topic, part.offset, version, memory)),
          compare(readUnrotten(topic, part.offset, version, memory, told)),
        ]),
      )
      const problem = problems.includes(undefined) ? undefined : problems[0]
      const before = parts[i - 1]?.topicId ?? part.topicId
      // A topic that its stream has left is kept for a while. An application may have come from one of which it got nothing.
      const hasGot = parts.slice(0, i).some(({ events }) => events.length > 0)
      const left = hasGot ? [before] : [before, ...topicsLeftBy(registered, part.lease)]
      const isOver = left.some((id) => topicById(broker, id) !== undefined && !isThere(broker, id))
      const isTaken = broker.takenAway.has(before) || broker.takenAway.has(part.topicId)
      const isHole =
        part.offset <= (topic.partitions[0]?.earliest ?? 0) ||
        resetsIn(topic).includes(part.offset) ||
        topic.partitions[0]?.lostEnds.some(({ from }) => from <= part.offset) ||
        hasMoreThanStart(registered, part, parts.slice(0, i), broker) ||
        (isSamePlace(part, parts[i - 1]) && holdsOfLostEnd(topic, part.offset, lost))
      const reset =
        part.reset === undefined || isTaken || isOver || (isHole && !part.reset.includes('is over'))
          ? []
          : [violation(`it was told reset: ${part.reset}`)]
      return [...reset, ...(problem === undefined ? [] : [violation(`from ${part.offset} on: ${problem}`)])]
    }),
  ]
}

/**
 * The parts with which an application came from elsewhere to the topic of one of them; none where it began there. What it had got after the seam before it
 * heard of the move it does not get again, also behind a `reset` that is of something else: in this topic, or in one before, where it may be of another partition.
 */
function comingsTo(parts: readonly Part[], i: number): (readonly Part[])[] {
  const own = parts[i]
  // With a `reset` that it is told before it has got anything, a move is one part.
  const isJoined = (k: number): boolean =>
    parts[k]?.isMoved === true || parts[k - 1]?.topicId !== own?.topicId
  const joined = parts.findLastIndex(
    ({ topicId }, k) => k > 0 && k < i && topicId === own?.topicId && isJoined(k),
  )
  const first = parts.findLastIndex(({ reset }, k) => k <= joined && reset !== undefined)
  const since = parts.slice(Math.max(0, first), joined + 1)
  return first > 0 ? [since, parts.slice(0, joined + 1)] : [since]
}

/** Whether an application was told `reset` where it had come to a topic, by a move or another `reset`, and had got nothing of it. */
function isSamePlace(part: Part, before: Part | undefined): boolean {
  const hasCome = before?.isMoved === true || before?.reset !== undefined
  return hasCome && before.topicId === part.topicId && before.offset === part.offset
}

/**
 * Whether a topic holds something in front of a place that is of a lost end of its fixed topic. Who joins there cannot tell it from what comes again in the
 * place of an end that the topic itself has lost, which may be its own. No ruling forbids one `reset` too many; a hole is what R6 and R13 exclude.
 */
function holdsOfLostEnd({ partitions: [partition] }: MemoryTopic, place: number, lost: LostFixed): boolean {
  return (partition?.archive ?? []).some(({ offset, headers: { position } }) => {
    const channel = CHANNELS.find((each) => NAMES.fixed[each] === position?.topic)
    return offset < place && position && channel && lost.isAgain(channel, position.partition, position.offset)
  })
}

/** Where a lease left a topic, by fixed partition, and the place of the topic behind which nothing lies in front of that, once it is known. */
type Seam = Pick<NonNullable<LeaseRecord['former']>[number], 'seam' | 'end'>

/** Where a lease left a topic; undefined of the one that it has. */
function seamOf({ leases, streams }: Registered, leaseId: string, topicId: string): Seam | undefined {
  return leases.get(leaseId)?.former?.find(({ streamId }) => streams.get(streamId)?.topicId === topicId)
}

/** The topic that a lease had last. */
function lastTopicOf({ leases, streams }: Registered, leaseId: string): string | undefined {
  return streams.get(leases.get(leaseId)?.streamId ?? '')?.topicId
}

/** The topics that a lease had before. */
function topicsLeftBy({ leases, streams }: Registered, leaseId: string): string[] {
  const former = leases.get(leaseId)?.former ?? []
  return former.flatMap(({ streamId }) => streams.get(streamId)?.topicId ?? [])
}

/** What who has all these parts must not get again in the last of them, and what lies in front of its seam. */
function beginningOf(
  registered: Registered,
  leaseId: string,
  parts: readonly Part[],
  broker: MemoryBroker,
  isOnlyOfNow = false,
): ReaderMemory | undefined {
  const part = parts.at(-1)
  const { own, channel } = legOf(registered, leaseId, part?.topicId)
  if (part === undefined || own === undefined || channel === undefined) return part?.memory
  const memory = raise(emptyMemory(), positionsBefore(NAMES.fixed[channel], own.start ?? []))
  for (const { topicId, events, lease: id } of parts.slice(0, -1)) {
    if (id !== leaseId) continue
    // A repeat has the same text where the fields of a stream leave `maybe` out.
    const got = new Map<string, number>()
    for (const text of events) got.set(text, (got.get(text) ?? 0) + 1)
    const topic = topicById(broker, topicId)
    for (const record of topic?.partitions[0]?.archive ?? []) {
      const { headers, value } = record
      const { kind, position } = headers
      if (kind !== 'event' || position?.topic !== NAMES.fixed[channel]) continue
      const text = normal(value ?? new Uint8Array())
      const left = got.get(text) ?? 0
      got.set(text, left - 1)
      if (left > 0 && (!isOnlyOfNow || isOfNow(broker, record)))
        raise(memory, positionsBefore(position.topic, sparse(position.partition, position.offset + 1)))
    }
  }
  return memory
}

/** Where a lease's own part of a topic begins, and of which channel that is. */
function legOf({ leases, streams }: Registered, leaseId: string, topicId: string | undefined) {
  const lease = leases.get(leaseId)
  const own = [...(lease?.former ?? []), ...(lease ? [lease] : [])].find(
    ({ streamId }) => streams.get(streamId)?.topicId === topicId,
  )
  return { own, channel: streams.get(own?.streamId ?? '')?.spec.channel }
}

/**
 * Whether an application had got more of a channel before than lies in front of its part there, and came back to it from another one, or to offsets that its lease
 * has had before. Nobody can tell whether it heard late of its moves, or the fixed topic has lost its end; or whether what it had got is of that end.
 */
function hasMoreThanStart(
  registered: Registered,
  part: Part,
  before: readonly Part[],
  broker: MemoryBroker,
): boolean {
  const { own, channel } = legOf(registered, part.lease, part.topicId)
  const from = legOf(registered, part.lease, before.at(-1)?.topicId).channel
  if (channel === undefined || from === undefined) return false
  if (from === channel && !isInFront(registered, part.lease, own?.start ?? [], channel)) return false
  const got = beginningOf(registered, part.lease, [...before, part], broker)?.positions[NAMES.fixed[channel]]
  return Object.entries(got ?? {}).some(([k, [offset]]) => offset >= (own?.start?.[Number(k)] ?? 0))
}

/** Whether a part of a lease begins in front of a seam that it had come to in the same fixed topic. */
function isInFront(
  { leases, streams }: Registered,
  leaseId: string,
  start: readonly number[],
  channel: string,
): boolean {
  const former = leases.get(leaseId)?.former ?? []
  return former.some(
    ({ streamId, seam }) =>
      streams.get(streamId)?.spec.channel === channel && seam.some((offset, k) => (start[k] ?? 0) < offset),
  )
}

/** Whether the fixed record that caused one of a stream is there, and not another one in the place of a lost end. */
function isOfNow(broker: MemoryBroker, { headers: { position }, timestamp }: StoredRecord): boolean {
  const { archive = [] } = broker.topics.get(position?.topic ?? '')?.partition(position?.partition ?? 0) ?? {}
  const cause = archive.find(({ offset }) => offset === position?.offset)
  return cause !== undefined && cause.timestamp <= timestamp
}

function sparse(partition: number, offset: number): number[] {
  return Array.from({ length: partition + 1 }, (_, k) => (k === partition ? offset : 0))
}

function isThere(broker: MemoryBroker, topicId: string): boolean {
  return [...broker.topics.values()].some(({ id }) => id === topicId)
}

/**
 * Of a topic that the lease has left, a reader has what lies in front of the seam, and behind it what it had got before it heard of the move: all up to
 * some place of the topic, and of each partition nothing after the last of that. What follows the end that the leader saw is not its own: where a fixed
 * log has lost its end, offsets in front of the seam come again there.
 */
function compareUpTo(
  left: Seam | undefined,
  records: readonly DynamicRecord[],
  found: readonly string[],
  isWhole: boolean,
): string | undefined {
  const texts = records.map(({ text }) => text)
  if (left === undefined) return compareLists(texts, found, isWhole)
  const { seam, end } = left
  const bounds = [...seam]
  let first: string | undefined
  for (let heard = 0; heard <= records.length; heard++) {
    const { shard, cause } = records[heard - 1] ?? { shard: 0, cause: -1 }
    bounds[shard] = Math.max(bounds[shard] ?? 0, cause + 1)
    const own = texts.filter((_, i) => {
      const record = records[i]
      if (record === undefined || i < heard) return record !== undefined
      return record.offset < (end ?? Number.POSITIVE_INFINITY) && record.cause < (bounds[record.shard] ?? 0)
    })
    const problem = compareLists(own, found, isWhole)
    if (problem === undefined) return undefined
    first ??= problem
    if (texts[heard] !== found[heard] && heard >= found.length) break
  }
  return first
}
