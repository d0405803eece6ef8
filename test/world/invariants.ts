import { decodeDeadLetter } from '../../src/control/dead-letter-records.ts'
import type { LeaseRecord } from '../../src/control/records.ts'
import { marketKey, type Quote, shardOf, type Trade } from '../../src/domain/events.ts'
import { emptyMemory, positionsBefore, type ReaderMemory, raise } from '../../src/domain/reader-rules.ts'
import { matchesMarket } from '../../src/domain/routing.ts'
import type { StoredRecord } from '../../src/ports/broker.ts'
import { windowsOfLog } from '../windows-of-log.ts'
import type { Application, Part } from './application.ts'
import type { readFixed } from './evidence.ts'
import {
  anewFrom,
  type DynamicRecord,
  type FixedRecord,
  holesIn,
  holesInRows,
  isGone,
  type LostFixed,
  normal,
  readDerived,
  readDynamic,
  readUnrotten,
  resetsIn,
  versionsOf,
} from './evidence.ts'
import type { Exchange, Handed } from './exchange.ts'
import type { Gift } from './groups.ts'
import type { MemoryBroker } from './memory-broker.ts'
import type { MemoryPartition, MemoryTopic } from './memory-log.ts'
import type { MemoryStore } from './memory-store.ts'
import { NAMES } from './names.ts'
import type { Registered, RegisteredStream } from './registered.ts'
import { tailored } from './tailored.ts'
import type { Violation } from './violations.ts'

type Fixed = ReturnType<typeof readFixed>

/** R5, R6: no trade twice, unless the first is gone and the second says that it may be a repeat; and since its market is watched none is missing that no gap covers, up to the last published one. */
export function checkTrades(
  { ledger, watchedSince }: Pick<Exchange, 'ledger' | 'watchedSince'>,
  fixed: Fixed,
  lost: LostFixed,
): Violation[] {
  const violations: Violation[] = []
  const published = new Map<string, Map<string, FixedRecord<'trade'>>>()
  for (const record of fixed.trade) {
    const ofMarket = published.get(record.market) ?? new Map()
    published.set(record.market, ofMarket)
    const former = ofMarket.get(record.event.id)
    // Of what is gone nobody can know: the repeat has to say so.
    const mayRepeat = record.reentering || (former?.isGone && record.event.maybe)
    if (former !== undefined && !mayRepeat)
      violations.push({
        promise: 'trade twice',
        detail: `${record.market} ${record.event.id} at ${record.shard}:${former.offset} and ${record.offset}`,
      })
    ofMarket.set(record.event.id, record)
  }
  const lostIds = new Set(lost.records.trade.map(({ event }) => event.id))
  for (const [market, trades] of Map.groupBy(ledger, marketKey)) {
    const ofMarket = published.get(market) ?? new Map()
    const since = watchedSince.get(market) ?? Number.POSITIVE_INFINITY
    const first = trades.findIndex(({ id, ts }) => ts >= since || ofMarket.has(id))
    const last = trades.findLastIndex(({ id }) => ofMarket.has(id))
    // A gap that was told may lie in an end that was lost.
    const gaps = [...fixed.status, ...lost.records.status].filter(
      ({ event, market: about }) => event.state === 'gap' && (event.symbol === undefined || about === market),
    )
    if (first < 0 || last < 0) continue
    for (const { id, ts } of trades.slice(first, last)) {
      const isFlagged = gaps.some(({ event: { from = 0, to = 0 } }) => from <= ts && ts <= to)
      if (!ofMarket.has(id) && !isFlagged && !lostIds.has(id))
        violations.push({
          promise: 'trade lost',
          detail: `${market} ${id} of ${ts} is missing, and no gap says so`,
        })
    }
  }
  return violations
}

/**
 * R3, R7: what a source handed to the process that had the shard from then on is published, whatever failed in between: nobody
 * else could have.
 */
export function checkKept(
  {
    handed,
    gifts,
    takeOvers,
    partitions,
    killed,
  }: {
    readonly handed: readonly Handed[]
    readonly gifts: readonly Gift[]
    readonly takeOvers: MemoryBroker['takeOvers']
    readonly partitions: number
    readonly killed: ReadonlySet<string>
  },
  fixed: Fixed,
  lost: LostFixed,
): Violation[] {
  const published = new Set([
    ...[...fixed.trade, ...lost.records.trade].map(({ event }) => `trade ${event.id}`),
    ...[...fixed.quote, ...lost.records.quote].map(({ event }) => `quote ${event.bid}`),
  ])
  const perShard = Array.from({ length: partitions }, (_, k) => ({
    given: gifts.filter(
      ({ group, places }) => group === NAMES.groups.producers && places.includes(`market.trades:${k}`),
    ),
    taken: takeOvers.filter(({ id }) => id === NAMES.shardId(k)),
  }))
  const isOwner = (host: string, k: number, at: number): boolean => {
    const { given = [], taken = [] } = perShard[k] ?? {}
    return isAlone(given, host, at) && isAlone(taken, host, at)
  }
  return handed.flatMap(({ host, item, at }): Violation[] => {
    const key =
      item.channel === 'trade' ? `trade ${item.event.id}` : `quote ${(item.event as { bid?: number }).bid}`
    if (published.has(key) || killed.has(host.name)) return []
    const market = marketKey(item.event)
    const k = shardOf(market, partitions)
    if (!isOwner(host.name, k, at)) return []
    return [
      {
        promise: 'item dropped',
        detail: `${host.name} had shard ${k}, and lost ${key} of ${market} that it got at ${at}`,
      },
    ]
  })
}

/** Whether what a host had at a time was nobody else's from then on. */
function isAlone(
  owners: readonly { readonly host: string | undefined; readonly at: number }[],
  host: string,
  at: number,
): boolean {
  if (owners.findLast((each) => each.at <= at)?.host !== host) return false
  return !owners.some((each) => each.at > at && each.host !== host)
}

/** The store leaves out trades that may be repeats, and are. */
function withoutRepeats(records: readonly FixedRecord[]): FixedRecord[] {
  const known = new Set<string>()
  return records.filter(({ market, event }) => {
    const { id, maybe } = event as Trade
    const isRepeat = maybe === true && known.has(`${market} ${id}`)
    known.add(`${market} ${id}`)
    return !isRepeat
  })
}

/**
 * R6: the rows are what counts in the fixed topics, each once, but for what a gap says that retention has removed. What a topic has lost with
 * its end may have been stored before, or later.
 */
export function checkRows(store: MemoryStore, fixed: Fixed, lost: LostFixed): Violation[] {
  const holes = holesInRows(store)
  return (['trade', 'quote'] as const).flatMap((channel): Violation[] => {
    const records: readonly FixedRecord[] = fixed[channel]
    // What is told of an offset may be of what was lost, and not of what came in its place.
    const kept = records.filter(
      ({ shard, offset }) =>
        !isGone(holes, `${NAMES.fixed[channel]}:${shard}`, offset) || lost.isAgain(channel, shard, offset),
    )
    const more: readonly FixedRecord[] = [...lost.records[channel], ...lost.unmarked[channel]]
    const mayHave = new Set(more.map(rowOf))
    const expected = withoutRepeats(kept).map(rowOf)
    const found = store.rows.get(channel) ?? []
    const { missing, extra } = difference(expected, found)
    // A batch that the consumer had in hand of what was lost, through an outage of the database, is stored in the place of what came then.
    const mayMiss = new Set(
      kept.filter(({ shard, offset }) => lost.isAgain(channel, shard, offset)).map(rowOf),
    )
    const lacks = missing.filter((row) => !mayMiss.has(row))
    const has = extra.filter((row) => !mayHave.has(row))
    const twice = extra.filter((row) => mayHave.has(row) && found.indexOf(row) !== found.lastIndexOf(row))
    if (lacks.length + has.length + twice.length === 0) return []
    return [
      {
        promise: 'rows',
        detail: `${channel}: missing ${some(lacks)}; too many ${some(has)}; stored again ${some(twice)}`,
      },
    ]
  })
}

/** R3, R14: what could not be read and was not stored before lies in a dead letter, with all its bytes. */
export function checkLetters(store: MemoryStore, broker: MemoryBroker): Violation[] {
  const records = broker.topics.get(NAMES.deadLetters)?.partitions[0]?.archive ?? []
  const letters = new Map(records.map((record) => [record.key, decodeDeadLetter(record)]))
  return holesInRows(store).flatMap(({ place, from, to, isRotten }): Violation[] => {
    if (!isRotten) return []
    const [topic = '', partition] = place.split(':')
    const lay = broker.topics.get(topic)?.partition(Number(partition)).everRotten ?? []
    // Offsets may come a second time.
    const rotten = lay.filter((batch) => batch.from <= from && to < batch.to)
    const letter = letters.get(`${place}:${from}`)
    const bytes = letter && 'bytes' in letter ? letter.bytes : undefined
    if (rotten.some((batch) => Buffer.from(batch.bytes).toString('base64') === bytes)) return []
    const what =
      rotten.length === 0 ? 'is not rotten' : bytes === undefined ? 'has no letter' : 'has other bytes'
    return [{ promise: 'dead letter', detail: `${from} to ${to} of ${place} ${what}` }]
  })
}

/** As the database in memory tells rows apart. */
function rowOf({ event }: FixedRecord): string {
  const { exchange, symbol, id, bid } = event as Trade & Quote
  return `${exchange} ${symbol} ${id ?? bid}`
}

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
  const allDerived = readDerived(topic, shard)
  const start = stream.start[shard] ?? 0
  const holes = holesIn(topic)
  const nameOf = ({ offset, text }: { readonly offset: number; readonly text: string }): string =>
    `${offset} ${text}`
  // What came in the place of an end that was lost may be left out before the place where the stream begins anew, and before its start.
  const begins = Math.max(start, anewFrom(topic, shard))
  const mayHave = new Set([
    ...(lost.records[channel] as readonly FixedRecord[])
      .filter((record) => record.shard === shard)
      .flatMap((record) => asked(stream, record) ?? [])
      .map(nameOf),
    ...wanted
      .filter((record) => record.offset < begins)
      .filter(({ offset }) => lost.isAgain(channel, shard, offset))
      .map(nameOf),
  ])
  const derivedNames = new Set(allDerived.map(({ cause, text }) => nameOf({ offset: cause, text })))
  const mayLack = lostDerived(topic, shard)
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
  const problem = compareLists(expected, derived, stream.state === 'ready')
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

/** R6, R13: each application got exactly its dynamic topic from its cursor on, or was told. */
export function checkApplication(
  application: Application,
  broker: MemoryBroker,
  registered: Registered,
): Violation[] {
  const { name, parts, ending, lease } = application
  const violation = (detail: string): Violation => ({ promise: 'application', detail: `${name}: ${detail}` })
  const told = application.complaints.map((complaint) =>
    complaint.startsWith('deleted')
      ? ({ promise: 'request', detail: `${name}: ${complaint}` } as const)
      : violation(complaint),
  )
  if (lease === undefined) return [...told, { promise: 'request', detail: `${name} never got its stream` }]
  if (ending === 'live' && broker.takenAway.has(lease.topicId))
    return [...told, violation('it was not told that somebody else deleted its topic, or got the same again')]
  if (ending === 'live' && parts.length === 0) return [...told, violation('it was never subscribed')]
  return [
    ...told,
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
      const versions = isWhole && isLast ? [now] : [now, ...former]
      // After a reset all begins anew.
      const first = parts.findLastIndex(({ reset }, k) => k <= i && reset !== undefined)
      const memory = part.isMoved
        ? beginningOf(registered, part.lease, parts.slice(Math.max(0, first), i + 1), broker)
        : (part.memory ?? beginningOf(registered, part.lease, [part], broker))
      const problems = versions.flatMap((version) => [
        compare(readDynamic(topic, version, memory)),
        compare(readUnrotten(topic, part.offset, version, memory)),
      ])
      const problem = problems.includes(undefined) ? undefined : problems[0]
      const before = parts[i - 1]?.topicId ?? part.topicId
      // A topic that its stream has left is kept for a while.
      const isOver = topicById(broker, before)?.spec.name !== undefined && !isThere(broker, before)
      const isTaken = broker.takenAway.has(before) || broker.takenAway.has(part.topicId)
      const isHole =
        part.offset <= (topic.partitions[0]?.earliest ?? 0) ||
        resetsIn(topic).includes(part.offset) ||
        topic.partitions[0]?.lostEnds.some(({ from }) => from <= part.offset)
      const reset =
        part.reset === undefined || isTaken || isOver || (isHole && !part.reset.includes('is over'))
          ? []
          : [violation(`it was told reset: ${part.reset}`)]
      return [...reset, ...(problem === undefined ? [] : [violation(`from ${part.offset} on: ${problem}`)])]
    }),
  ]
}

/** Where a lease left a topic, by fixed partition, and the place of the topic behind which nothing lies in front of that, once it is known. */
type Seam = Pick<NonNullable<LeaseRecord['former']>[number], 'seam' | 'end'>

/** Where a lease left a topic; undefined of the one that it has. */
function seamOf({ leases, streams }: Registered, leaseId: string, topicId: string): Seam | undefined {
  return leases.get(leaseId)?.former?.find(({ streamId }) => streams.get(streamId)?.topicId === topicId)
}

/** What who has all these parts must not get again in the last of them, and what lies in front of its seam. */
function beginningOf(
  { leases, streams }: Registered,
  leaseId: string,
  parts: readonly Part[],
  broker: MemoryBroker,
): ReaderMemory | undefined {
  const part = parts.at(-1)
  const lease = leases.get(leaseId)
  const own = [...(lease?.former ?? []), ...(lease ? [lease] : [])].find(
    ({ streamId }) => streams.get(streamId)?.topicId === part?.topicId,
  )
  const channel = streams.get(own?.streamId ?? '')?.spec.channel
  if (part === undefined || own === undefined || channel === undefined) return part?.memory
  const memory = raise(emptyMemory(), positionsBefore(NAMES.fixed[channel], own.start ?? []))
  for (const { topicId, events, lease: id } of parts.slice(0, -1)) {
    if (id !== leaseId) continue
    const got = new Set(events)
    const topic = topicById(broker, topicId)
    for (const record of topic?.partitions[0]?.archive ?? []) {
      const { headers, value } = record
      const { kind, position } = headers
      if (kind !== 'event' || position?.topic !== NAMES.fixed[channel]) continue
      if (got.has(normal(value ?? new Uint8Array())) && isOfNow(broker, record))
        raise(memory, positionsBefore(position.topic, sparse(position.partition, position.offset + 1)))
    }
  }
  return memory
}

/** Whether the fixed record that caused one of a stream is there, and not another one in the place of a lost end. */
function isOfNow(broker: MemoryBroker, { headers: { position }, timestamp }: StoredRecord): boolean {
  const { archive = [] } = broker.topics.get(position?.topic ?? '')?.partition(position?.partition ?? 0) ?? {}
  const cause = archive.find(({ offset }) => offset === position?.offset)
  return cause !== undefined && cause.timestamp <= timestamp
}

function isLive({ streams }: Registered, leaseId: string): boolean {
  return [...streams.values()].some(({ leases }) => leases.has(leaseId))
}

function sparse(partition: number, offset: number): number[] {
  return Array.from({ length: partition + 1 }, (_, k) => (k === partition ? offset : 0))
}

function isThere(broker: MemoryBroker, topicId: string): boolean {
  return [...broker.topics.values()].some(({ id }) => id === topicId)
}

/**
 * Of a topic that the lease has left, a reader has what lies in front of the seam, and behind it what it had got before it heard of the move: all up to
 * some place of the topic, and of each partition nothing behind the last of that. What follows the end that the leader saw is not its own: where a fixed
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

export function topicById(broker: MemoryBroker, id: string): MemoryTopic | undefined {
  return [...broker.topics.values(), ...broker.removed].find((topic) => topic.id === id)
}

/** What is wrong with a list that should equal another, or its beginning. */
function compareLists(
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

function difference(expected: readonly string[], found: readonly string[]) {
  const count = new Map<string, number>()
  for (const each of expected) count.set(each, (count.get(each) ?? 0) + 1)
  for (const each of found) count.set(each, (count.get(each) ?? 0) - 1)
  const missing = [...count].flatMap(([each, n]) => (n > 0 ? [each] : []))
  const extra = [...count].flatMap(([each, n]) => (n < 0 ? [each] : []))
  return { missing, extra }
}

function some(list: readonly string[]): string {
  return `${list.length}${list.length === 0 ? '' : ` (${list.slice(0, 3).join(', ')})`}`
}
