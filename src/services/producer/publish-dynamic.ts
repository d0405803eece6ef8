import { withDeadline } from '../../async/deadline.ts'
import { presenceError, streamPresence } from '../../control/topic-presence.ts'
import { findTopic } from '../../control/topics.ts'
import { isLater } from '../../domain/reader-rules.ts'
import { isAbort, toTapelineError } from '../../errors.ts'
import type { OutgoingRecord, PartitionRecords } from '../../ports/broker.ts'
import type { PublishOutcome } from '../../ports/pipeline.ts'
import type { BatchTrace } from './batch-trace.ts'
import { createCatchUp } from './catch-up.ts'
import { addLatest, type Derivation, type DerivedRecord, deriveLive, tellAllAgain } from './derive.ts'
import { expectedAt } from './expected-at.ts'
import { createOversizedRecords } from './oversized.ts'
import type { ShardOwnership } from './ownership.ts'
import type { ProducerParts } from './parts.ts'
import { beginPreparationStep, type PreparationStep, prepareTopics } from './prepare-topics.ts'
import { isDerivationDue } from './publish-fixed.ts'
import { SEND_TIMEOUT_MS } from './read-held.ts'
import { NOTHING_HELD, type Route } from './route.ts'
import type { Tail } from './tail.ts'
import { WindowSteps } from './window-steps.ts'

/** How long the broker may take to say where a topic is. */
const LOOK_TIMEOUT_MS = 3_000

interface Delivered {
  readonly records: number
  /**
   * Streams that are behind still: the step had no time to prepare them, the broker does not show their topics, or these have lost their
   * ends.
   */
  readonly late: ReadonlySet<Route>
}

export interface DynamicPublisher {
  /** Derives what the fixed topics have in hand, then one piece for each stream that is behind. */
  publish(signal: AbortSignal): Promise<PublishOutcome>
}

/**
 * Publishes to the dynamic topics what the fixed topics hold: each fixed record once, in order, for each stream (R4). Sets a topic aside that
 * alone cannot be written, and derives it on its own later (R3). It is long, and one function: each way in which a step can fail ends in the same
 * places of the same streams.
 */
export function createDynamicPublisher(
  producer: ProducerParts,
  ownership: ShardOwnership,
  trace: BatchTrace,
): DynamicPublisher {
  const { broker, registry, topics, log, meter, now } = producer
  const { shards, routes } = ownership
  const catchUp = createCatchUp(producer, ownership)
  const oversized = createOversizedRecords(producer)
  /** Some topic could not be written, and nobody knows which. */
  let isSeparate = false

  const traced = (record: OutgoingRecord): OutgoingRecord => {
    const headers = trace.deriving(record.headers)
    return headers === record.headers ? record : { ...record, headers }
  }

  /** Publishes a derivation; resolves when every topic has acknowledged it, and gives the streams whose topics had lost their ends before. */
  const send = async (
    derivation: Derivation,
    markers: ReadonlyMap<Route, readonly OutgoingRecord[]>,
    signal: AbortSignal,
  ): Promise<{ readonly records: number; readonly shortened: readonly Route[] }> => {
    const entries: PartitionRecords[] = []
    const written: Route[] = []
    let records = 0
    for (const [route, derived] of derivation) {
      const fresh = oversized.without(
        route,
        derived.filter((record) => isMissing(route, record)),
      )
      const begin = markers.get(route) ?? []
      if (fresh.length + begin.length === 0) continue
      records += fresh.length
      written.push(route)
      entries.push({
        ...{ topic: route.topic, topicId: route.topicId, partition: 0, shared: true },
        records: expectedAt(route.end, [...begin, ...fresh.map(({ record }) => traced(record))]),
      })
    }
    const started = now()
    const acks =
      entries.length === 0
        ? []
        : await withDeadline(signal, SEND_TIMEOUT_MS, (deadline) => broker.publish(entries, deadline))
    meter.observe('broker_publish_seconds', (now() - started) / 1000, { topics: 'dynamic' })
    meter.count('derived_records_total', records)
    for (const route of derivation.keys())
      if (markers.has(route)) for (const progress of route.progress.values()) progress.prepared = true
    const shortened = written.filter((route, i) =>
      routes.acknowledge(route, acks[i]?.baseOffset ?? route.end, entries[i]?.records.length ?? 0),
    )
    return { records, shortened }
  }

  /**
   * The broker refuses topics that it does not show, before it writes anything: the other topics go again. Gives the streams that do not go
   * again, or undefined where the failure is another one.
   */
  const refusedTopics = (error: unknown, derivation: Derivation): readonly Route[] | undefined => {
    const { code, partitions } = toTapelineError(error)
    if (isAbort(error) || code !== 'TOPIC_UNKNOWN') return undefined
    const named = new Set(partitions.map(({ topic }) => topic))
    return [...derivation.keys()].filter(({ topic }) => named.has(topic))
  }

  /**
   * Leaves streams out of a derivation whose topics the broker does not show. Only the registry ends streams: these wait until the broker
   * shows their topics again.
   */
  const passOver = async (
    refused: readonly Route[],
    derivation: Derivation,
    nextOf: (tail: Tail) => number,
    signal: AbortSignal,
  ): Promise<void> => {
    const shown = await withDeadline(signal, LOOK_TIMEOUT_MS, (deadline) =>
      broker.topicIds(
        refused.map(({ topic }) => topic),
        deadline,
      ),
    )
    for (const route of refused) {
      const presence = streamPresence(registry.view, route.topic, shown.get(route.topic))
      if (presence === 'over') routes.drop(route)
      else {
        leaveBehind(route, derivation.get(route) ?? [], nextOf)
        if (!routes.aside.has(route)) {
          // The broker shows it by now, and did not a moment ago.
          const failure = presenceError(route.topic, presence === 'there' ? 'away' : presence)
          log.warn(
            { topic: route.topic, code: failure?.code },
            'a topic cannot be written; it is set aside until it is there',
          )
        }
        routes.setAside(route)
      }
      derivation.delete(route)
    }
  }

  /**
   * Publishes a derivation, without the streams that the step has no time to prepare, and those whose topics the broker does not show: these
   * are behind from now on. Gives undefined where a topic could not be written: then all its streams are behind.
   */
  const deliver = async (
    derivation: Derivation,
    nextOf: (tail: Tail) => number,
    step: PreparationStep,
    signal: AbortSignal,
  ): Promise<Delivered | undefined> => {
    const late = new Set<Route>()
    let isSent = false
    const leaveOut = async (refused: readonly Route[]): Promise<void> => {
      for (const route of refused) late.add(route)
      if (refused.length > 0) await passOver(refused, derivation, nextOf, signal)
    }
    try {
      if (derivation.size === 0) return { records: 0, late }
      const prepared = await prepareTopics(producer, ownership, [...derivation.keys()], step, signal)
      for (const route of prepared.late) {
        late.add(route)
        leaveBehind(route, derivation.get(route) ?? [], nextOf)
        derivation.delete(route)
      }
      await leaveOut(prepared.missing)
      while (true) {
        try {
          isSent = true
          const { records, shortened } = await send(derivation, prepared.markers, signal)
          for (const route of shortened) {
            late.add(route)
            leaveBehind(route, derivation.get(route) ?? [], nextOf, isSent)
          }
          return { records, late }
        } catch (error) {
          const refused = refusedTopics(error, derivation)
          if (refused === undefined || refused.length === 0) throw error
          await leaveOut(refused)
        }
      }
    } catch (error) {
      if (signal.aborted || (await isBrokerAway(signal))) {
        ownership.doubt([...shards.keys()])
        throw toTapelineError(error, 'BROKER_UNAVAILABLE')
      }
      noteOversized(error, derivation)
      fallBehind(error, derivation, nextOf, isSent)
      return undefined
    }
  }

  /** A stream goes on without a record that its topic refuses as too large. */
  const noteOversized = (error: unknown, derivation: Derivation): void => {
    const { code, partitions, values } = toTapelineError(error)
    if (code !== 'RECORD_TOO_LARGE') return
    const named = new Set(partitions.map(({ topic }) => topic))
    const refused = new Set(values)
    for (const [route, derived] of derivation) {
      const large = derived.filter(({ record }) => record.value !== null && refused.has(record.value))
      if (named.has(route.topic) && large.length > 0) oversized.refused(route, large)
    }
  }

  /** Whether the broker does not even show the fixed topics: then the failure is not of single topics. */
  const isBrokerAway = async (signal: AbortSignal): Promise<boolean> => {
    try {
      await withDeadline(signal, LOOK_TIMEOUT_MS, (deadline) => findTopic(broker, topics.trade, deadline))
      return false
    } catch {
      return true
    }
  }

  /**
   * Nobody knows what became of a derivation. Its streams go on from their own positions, once a step has read what their topics hold. Those
   * that are known to have failed rest first. Where none is known, the streams go on one by one.
   */
  const fallBehind = (
    error: unknown,
    derivation: Derivation,
    nextOf: (tail: Tail) => number,
    isSent: boolean,
  ): void => {
    const { code, message, partitions } = toTapelineError(error, 'BROKER_UNAVAILABLE')
    const failed = new Set(partitions.map(({ topic }) => topic))
    if (failed.size === 0 && derivation.size > 1) isSeparate = true
    for (const [route, derived] of derivation) {
      leaveBehind(route, derived, nextOf, isSent)
      if (!failed.has(route.topic) && derivation.size > 1) continue
      routes.setAside(route)
      log.warn({ topic: route.topic, code, reason: message }, 'a topic cannot be written; it is set aside')
    }
  }

  const leaveBehind = (
    route: Route,
    derived: readonly DerivedRecord[],
    nextOf: (tail: Tail) => number,
    isSent = false,
  ): void => {
    const next = (k: number): number | undefined => {
      const shard = shards.get(k)
      // Its windows do not have what the step derived.
      if (route.compiled.windows) return shard?.tails[route.channel].derivedTo
      const first = derived.find((record) => record.shard === shard && isLive(route, record))
      return shard && (first?.offset ?? nextOf(shard.tails[route.channel]))
    }
    routes.fallBehind(route, next, isSent)
  }

  const settleLive = (marks: ReadonlyMap<Tail, number>): void => {
    for (const [tail, upTo] of marks) {
      tail.derivedTo = upTo
      tail.pending = []
    }
  }

  return {
    async publish(signal) {
      routes.beginReading()
      const marks = new Map<Tail, number>()
      for (const shard of shards.values()) {
        for (const tail of Object.values(shard.tails)) {
          marks.set(tail, tail.expected)
          tail.chosenTo = tail.expected
        }
      }
      const windows = new WindowSteps(meter)
      trace.beginDeriving()
      const live = deriveLive(shards.values(), routes, topics, windows)
      const toldAgain = tellAllAgain(live, shards.values(), routes, topics)
      const begun = addLatest(live, shards, routes, topics)
      const step = beginPreparationStep()
      const sent = await deliver(live, (tail) => marks.get(tail) ?? tail.derivedTo, step, signal)
      trace.derived({ topics: [...live.keys()].map(({ topic }) => topic), records: sent?.records ?? 0 })
      settleLive(marks)
      windows.commitLevel()
      // A stream that fell behind begins with the latest values when it goes on.
      for (const progress of begun) if (progress.behind === undefined) progress.latestDue = false
      for (const progress of toldAgain) if (progress.behind === undefined) progress.again = undefined

      let records = sent?.records ?? 0
      // After a failure the fixed topics have their turn first (R3).
      const pieces = sent === undefined ? [] : await catchUp.next(isSeparate, signal)
      let hasFailed = sent === undefined
      for (const piece of pieces) {
        const derived = await deliver(piece.derivation, (tail) => tail.derivedTo, step, signal)
        hasFailed = derived === undefined
        if (derived === undefined) break
        records += derived.records
        for (const route of piece.derivation.keys()) routes.restore(route)
        piece.done(derived.late)
        for (const route of piece.routes) routes.served(route)
      }
      if (!hasFailed) isSeparate = false
      for (const route of [...routes.unsettled]) routes.settle(route)
      oversized.settle()
      const written = [...live.keys()].map((route) => route.topic)
      return { topics: written, records, dynamicWaiting: isDerivationDue(shards.values(), routes) }
    },
  }
}

/** Whether a record is derived for its place in the log, not as a latest value in front of the stream. */
function isLive(route: Route, { shard, offset }: DerivedRecord): boolean {
  return offset >= (route.progress.get(shard.k)?.notBefore ?? 0)
}

/** Whether a topic does not hold a record yet. */
function isMissing(route: Route, { shard, offset, n = 0, again, isDue }: DerivedRecord): boolean {
  if (isDue) return true
  const progress = route.progress.get(shard.k)
  if (again !== progress?.again && again !== undefined) return false
  return isLater([offset, n], progress?.held ?? NOTHING_HELD)
}
