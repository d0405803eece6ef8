import { setTimeout as delay } from 'node:timers/promises'
import type { ControlBus } from '../../control/bus.ts'
import type { Membership } from '../../control/membership.ts'
import {
  CONTROL_VERSION,
  type ControlRecordOf,
  decodeControl,
  type LeaseRecord,
  type StreamRecord,
} from '../../control/records.ts'
import type { Registry } from '../../control/registry.ts'
import { CONTROL_TOPIC, DYNAMIC_PREFIX } from '../../control/topics.ts'
import { TapelineError, toTapelineError } from '../../errors.ts'
import type { Broker, Reader } from '../../ports/broker.ts'
import type { Log } from '../../ports/log.ts'
import type { TopicBatch } from '../../ports/pipeline.ts'
import type { Leader, RegistryBody } from './leader.ts'

const MOST_REQUESTS = 200
const POLL_MS = 200
const FOLLOW_MS = 500
const ORPHAN_AGE_MS = 3_600_000

export interface CoordinatorParts {
  readonly broker: Broker
  readonly registry: Registry
  readonly bus: ControlBus
  readonly membership: Membership
  readonly leader: Leader
  readonly instance: string
  readonly settings: CoordinatorSettings
  readonly now: () => number
  readonly newId: () => string
  readonly log: Log
}

interface CoordinatorSettings {
  /** How long a topic stays routed after its last lease has ended, in milliseconds (R13). */
  readonly graceMs: number
  readonly maxPerApplication: number
  /** How far back an application may resume, in milliseconds. */
  readonly retentionMs: number
  /** The fixed topic of each channel. */
  readonly fixedTopics: Readonly<Record<StreamRecord['spec']['channel'], string>>
}

/** A request as it was read, with the position behind it. */
export interface ReadRequest {
  readonly record: ControlRecordOf<'CREATE_TOPIC_REQUEST'>
  readonly topicName: string
}

export interface RequestQueue {
  /** Waits until topics are to be made or deleted. Gives the batch in hand again until it is finished. */
  receive(isAssigned: () => boolean, signal: AbortSignal): Promise<TopicBatch>
  /** The requests behind a batch of creations. */
  requests(): readonly ReadRequest[]
  /** The position in the control topic behind the batch in hand. */
  readonly controlOffset: number
  /** The batch in hand is done. */
  finish(): void
  reply(requestIds: readonly string[], registryOffset: number, error: TapelineError | null): Promise<void>
  close(): Promise<void>
}

/** The coordinator's in-tray: requests from the control topic, leases that run out, topics whose grace is over. */
export function createRequestQueue(parts: CoordinatorParts): RequestQueue {
  const { broker, registry, bus, membership, leader, instance, settings, now, newId, log } = parts
  const { view } = registry
  let term = 0
  let reader: Reader | undefined
  let inHand: TopicBatch | undefined
  let requests: readonly ReadRequest[] = []
  let controlOffset = 0
  /** When a lease was last known to be read, and since when a stream has had no lease. */
  const lastRead = new Map<string, number>()
  const unleasedSince = new Map<string, number>()

  const reply: RequestQueue['reply'] = async (requestIds, registryOffset, error) => {
    if (requestIds.length === 0) return
    const failure = error && { code: error.code, message: error.message }
    await bus.send(
      requestIds.map((requestId) => ({
        v: CONTROL_VERSION,
        kind: 'REPLY',
        instance,
        requestId,
        registryOffset,
        failure,
      })),
    )
  }

  const begin = async (signal: AbortSignal): Promise<void> => {
    await leader.lead(signal)
    if (leader.term === term && reader) return
    await reader?.close()
    reader = await broker.openReader()
    controlOffset = view.controlOffset
    await reader.assign([{ topic: CONTROL_TOPIC, partition: 0, offset: controlOffset }])
    lastRead.clear()
    unleasedSince.clear()
    await removeOrphans(signal)
    term = leader.term
  }

  /** Topics that the registry does not know, older than an hour: left by a leader that died between two steps (R10). */
  const removeOrphans = async (signal: AbortSignal): Promise<void> => {
    const known = new Set([...view.streams()].map((stream) => stream.topic))
    const topics = await broker.listTopics(DYNAMIC_PREFIX, signal)
    const orphans = topics.filter(({ name }) => !known.has(name) && now() - madeAt(name) > ORPHAN_AGE_MS)
    if (orphans.length > 0)
      log.info({ topics: orphans.length }, 'removing topics that the registry does not know')
    await broker.deleteTopics(
      orphans.map(({ name }) => name),
      signal,
    )
  }

  /** What a leader before us began and did not finish. */
  const unfinished = (): TopicBatch | undefined => {
    const ending = [...view.streams()].filter((stream) => stream.state === 'ending')
    if (ending.length === 0) return undefined
    return { kind: 'delete', requests: ending.map(({ topic, id }) => ({ topicName: topic, streamId: id })) }
  }

  const poll = async (signal: AbortSignal): Promise<TopicBatch | undefined> => {
    const creations: ControlRecordOf<'CREATE_TOPIC_REQUEST'>[] = []
    const endings: ControlRecordOf<'END_LEASE_REQUEST'>[] = []
    for (const fetch of (await reader?.poll({ maxRecords: MOST_REQUESTS, waitMs: POLL_MS }, signal)) ?? []) {
      if (fetch.kind === 'truncated') controlOffset = fetch.earliest
      if (fetch.kind !== 'records') continue
      controlOffset = fetch.nextOffset
      for (const stored of fetch.records) {
        const record = stored.value && decodeOrReport(stored.value, stored.offset, log)
        if (record?.kind === 'CREATE_TOPIC_REQUEST') creations.push(record)
        if (record?.kind === 'END_LEASE_REQUEST') endings.push(record)
      }
    }
    await endLeases(endings, signal)
    if (creations.length > 0) return take(creations)
    return dueDeletions()
  }

  /** A poll that failed half-way has read requests that nobody has in hand: the next one begins where the registry says. */
  const pollOrRewind = async (signal: AbortSignal): Promise<TopicBatch | undefined> => {
    try {
      return await poll(signal)
    } catch (error) {
      term = 0
      throw error
    }
  }

  const take = (creations: readonly ControlRecordOf<'CREATE_TOPIC_REQUEST'>[]): TopicBatch => {
    const fresh = new Map<string, string>()
    requests = creations.map((record) => {
      const key = JSON.stringify(record.spec)
      const topicName = view.streamOf(record.spec)?.topic ?? fresh.get(key) ?? `${DYNAMIC_PREFIX}${newId()}`
      fresh.set(key, topicName)
      return { record, topicName }
    })
    return {
      kind: 'create',
      requests: requests.map(({ record, topicName }) => ({
        topicName,
        partitions: 1,
        spec: record.spec,
        requestId: record.requestId,
        leaseId: record.leaseId,
      })),
    }
  }

  /** Ends what applications gave up and what nobody has read for its time to live; answers the former. */
  const endLeases = async (
    asked: readonly ControlRecordOf<'END_LEASE_REQUEST'>[],
    signal: AbortSignal,
  ): Promise<void> => {
    const ended = new Map<string, RegistryBody & { kind: 'lease' }>()
    const unknown: string[] = []
    for (const { leaseId, app, requestId } of asked) {
      const lease = view.leaseRecord(leaseId)
      if (lease === undefined || (lease.app !== app && app !== 'admin')) unknown.push(requestId)
      else ended.set(leaseId, ending(lease, 'deleted'))
    }
    for (const lease of expired()) ended.set(lease.id, ending(lease, 'expired'))
    const removed = [...ended.keys()].flatMap((id) => view.leaseRecord(id) ?? [])
    const offset = ended.size > 0 ? await leader.write([...ended.values()], removed, signal) : view.nextOffset
    const done = asked.map(({ requestId }) => requestId).filter((id) => !unknown.includes(id))
    await reply(done, offset, null)
    await reply(
      unknown,
      offset,
      new TapelineError('STREAM_UNKNOWN', 'no stream of this id belongs to the application'),
    )
  }

  const expired = (): LeaseRecord[] => {
    const moment = now()
    for (const member of membership.live()) for (const id of member.reading) lastRead.set(id, moment)
    const result: LeaseRecord[] = []
    for (const lease of view.leases()) {
      if (lease.ttlMs === 0) continue
      const since = lastRead.get(lease.id) ?? moment
      lastRead.set(lease.id, since)
      if (moment - since > lease.ttlMs) result.push(lease)
    }
    for (const id of lastRead.keys()) if (view.leaseRecord(id) === undefined) lastRead.delete(id)
    return result
  }

  const dueDeletions = (): TopicBatch | undefined => {
    const moment = now()
    const due: { topicName: string; streamId: string }[] = []
    for (const stream of view.streams()) {
      if (view.leaseCount(stream.id) > 0) {
        unleasedSince.delete(stream.id)
        continue
      }
      const since = unleasedSince.get(stream.id) ?? moment
      unleasedSince.set(stream.id, since)
      if (moment - since < settings.graceMs) continue
      due.push({ topicName: stream.topic, streamId: stream.id })
    }
    for (const id of unleasedSince.keys()) if (view.stream(id) === undefined) unleasedSince.delete(id)
    return due.length > 0 ? { kind: 'delete', requests: due.slice(0, MOST_REQUESTS) } : undefined
  }

  return {
    async receive(isAssigned, signal) {
      while (!signal.aborted) {
        if (!isAssigned()) {
          await delay(FOLLOW_MS, undefined, { signal })
          continue
        }
        await begin(signal)
        inHand ??= unfinished() ?? (await pollOrRewind(signal))
        if (inHand) return inHand
      }
      throw signal.reason
    },
    requests: () => requests,
    get controlOffset() {
      return controlOffset
    },
    finish() {
      inHand = undefined
      requests = []
    },
    reply,
    async close() {
      await reader?.close()
    },
  }
}

function ending(lease: LeaseRecord, reason: string): RegistryBody & { kind: 'lease' } {
  const { v: _v, instance: _instance, epoch: _epoch, ...body } = lease
  return { ...body, state: 'ended', reason }
}

const ULID_DIGITS = '0123456789abcdefghjkmnpqrstvwxyz'

/** When a dynamic topic was made, from the ULID in its name; 0 where it has none. */
function madeAt(topic: string): number {
  let millis = 0
  for (const digit of topic.slice(DYNAMIC_PREFIX.length, DYNAMIC_PREFIX.length + 10)) {
    millis = millis * 32 + ULID_DIGITS.indexOf(digit)
  }
  return Number.isFinite(millis) && millis > 0 ? millis : 0
}

function decodeOrReport(
  value: Uint8Array,
  offset: number,
  log: Log,
): ReturnType<typeof decodeControl> | undefined {
  try {
    return decodeControl(value)
  } catch (error) {
    log.error(
      { offset, code: toTapelineError(error).code },
      'a control record cannot be read and is left out',
    )
    return undefined
  }
}
