import { withDeadline } from '../../async/deadline.ts'
import { deadlineAfter, delay } from '../../async/timers.ts'
import type { ControlBus } from '../../control/bus.ts'
import type { ControlRecordOf } from '../../control/control-records.ts'
import type { Membership } from '../../control/membership.ts'
import type { PlatformNames } from '../../control/names.ts'
import { CONTROL_VERSION } from '../../control/record-format.ts'
import type { Registry } from '../../control/registry.ts'
import { type KeyRecord, TOPIC_REMOVED, type WebhookRecord } from '../../control/registry-records.ts'
import { TapelineError, toTapelineError } from '../../errors.ts'
import type { Broker, Reader } from '../../ports/broker.ts'
import type { Log } from '../../ports/log.ts'
import type { Carried, TopicBatch, TopicRequest } from '../../ports/pipeline.ts'
import { createHand } from '../hand.ts'
import { gatherRequests } from './gather-requests.ts'
import { changeKeys } from './key-requests.ts'
import type { Leader, RegistryBody } from './leader.ts'
import { createLeaseClock } from './lease-clock.ts'
import { createLostTopics } from './lost-topics.ts'
import { createMoves, lastOfEach, type MoveRequest, refusalOf, unknownLease } from './moves.ts'
import { placeRequests } from './places.ts'
import { endingLease, endingStream, keepingStream } from './stream-records.ts'
import { changeWebhooks } from './webhook-requests.ts'

const MOST_REQUESTS = 200
/** So many leases that nobody reads end in one transaction; the next look ends the others. */
const MOST_EXPIRED = 1_000
/**
 * So many leases that have ended stay in the registry, whatever it compacts: who deletes one again, since the answer got lost with its leader,
 * hears that it is deleted.
 */
const MOST_ENDED = 1_000
const POLL_MS = 500
/** How often it looks which leases have run out: with many streams such a look costs more than all else while nobody asks for anything. */
const LEASES_LOOK_MS = 1_000
/** How long one look at the control topic may take, and all that the look ends. */
const LOOK_MS = 15_000
const CLOSE_MS = 2_000
/** How often a coordinator that does not lead looks whether it does. */
const FOLLOW_MS = 200

export interface CoordinatorParts {
  readonly broker: Broker
  readonly names: PlatformNames
  readonly registry: Registry
  readonly bus: ControlBus
  readonly membership: Membership
  readonly leader: Leader
  readonly instance: string
  readonly settings: CoordinatorSettings
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly newId: () => string
  readonly log: Log
  readonly alerts: {
    raise(id: string, code: string, message: string): void
    clear(id: string): void
  }
}

interface CoordinatorSettings {
  /** How long a topic stays routed after its last lease has ended, in milliseconds (R13). */
  readonly graceMs: number
  readonly maxPerApplication: number
  /** Of all applications together. */
  readonly maxStreams: number
  readonly maxTopics: number
  readonly maxWebhooksPerApplication: number
  /** How far back an application may resume, in milliseconds. */
  readonly retentionMs: number
}

export interface RequestQueue {
  /** Waits until this process leads and has topics to make or to delete. Gives the batch in hand again until it is done. */
  receive(signal: AbortSignal): Promise<Carried<TopicBatch>>
  /**
   * Makes sure that this process leads. Gives whether to work on the batch in hand. If another process may have led since the batch was
   * received, the batch is given up: somebody may have done, and undone, what it asks for.
   */
  resume(signal: AbortSignal): Promise<boolean>
  reply(requestIds: readonly string[], registryOffset: number, error: TapelineError | null): Promise<void>
  close(): Promise<void>
}

/**
 * The coordinator's in-tray: requests from the control topic, leases that run out, topics whose grace is over. It is long, and one function: each step
 * holds for one term of the leadership, with the reader and the batch of that term.
 */
export function createRequestQueue(coordinator: CoordinatorParts): RequestQueue {
  const { broker, names, registry, bus, membership, leader, instance, settings, now, log } = coordinator
  const { view } = registry
  const clock = createLeaseClock(view, now)
  const lostTopics = createLostTopics(coordinator)
  const seams = createMoves(coordinator)
  /** The term of the leadership that the reader and the batch in hand belong to. */
  let term = 0
  let reader: Reader | undefined
  let lookedAt = Number.NEGATIVE_INFINITY
  const hand = createHand<TopicBatch>()
  /** Where the reader stands in the control topic. */
  let controlOffset = 0

  const reply: RequestQueue['reply'] = async (requestIds, registryOffset, error) => {
    if (requestIds.length === 0) return
    const failure = error && { code: error.code, message: error.message }
    const { epoch } = leader
    await bus.send(
      requestIds.map((requestId) => ({
        ...{ v: CONTROL_VERSION, kind: 'REPLY', instance, epoch },
        ...{ requestId, registryOffset, failure },
      })),
    )
  }

  const closeReader = async (): Promise<void> => {
    const former = reader
    reader = undefined
    await former?.close(deadlineAfter(CLOSE_MS)).catch((error: unknown) => {
      log.debug({ code: toTapelineError(error).code }, 'a reader did not close')
    })
  }

  /** Begins a term: reads on from where the last leader was, by the registry. */
  const begin = async (signal: AbortSignal): Promise<void> => {
    if (leader.term === term && reader) return
    const beginning = leader.term
    await closeReader()
    reader = await broker.openReader(signal)
    controlOffset = view.controlOffset
    await reader.assign([{ topic: names.control, partition: 0, offset: controlOffset }], signal)
    clock.restart()
    lostTopics.rest()
    term = beginning
  }

  /** What a leader before us began and did not finish. */
  const unfinished = (): TopicBatch | undefined => {
    const requests: { readonly topicName: string; readonly streamId: string }[] = []
    for (const { state, topic, id } of view.streams()) {
      if (state !== 'ending') continue
      requests.push({ topicName: topic, streamId: id })
      if (requests.length === MOST_REQUESTS) break
    }
    return requests.length === 0 ? undefined : { kind: 'delete', requests, controlOffset }
  }

  /** Whether it is time to look at all leases. What processes read they tell every two seconds. */
  const isLookDue = (): boolean => {
    const moment = now()
    if (Math.abs(moment - lookedAt) < LEASES_LOOK_MS) return false
    lookedAt = moment
    return true
  }

  /** The leases that have readers; undefined while this process does not understand what another one says of its readers. */
  const leasesRead = (): Set<string> | undefined => {
    const read = new Set<string>()
    for (const { reading } of membership.live()) {
      if (reading === undefined) return undefined
      for (const id of reading) read.add(id)
    }
    // Also of one that is paused, or that no gateway serves at present.
    for (const { leaseId } of view.webhooks()) read.add(leaseId)
    return read
  }

  const poll = async (signal: AbortSignal): Promise<TopicBatch | undefined> => {
    const fetches = (await reader?.poll({ maxRecords: MOST_REQUESTS, waitMs: POLL_MS }, signal)) ?? []
    const { creations, moves, passed, endings, webhooks, keys, unreadable, next } = gatherRequests(fetches)
    controlOffset = next ?? controlOffset
    for (const record of passed) seams.note(record)
    const newer = 'the leader does not understand the request'
    await reply(unreadable, view.nextOffset, new TapelineError('UPGRADE_NEEDED', newer))
    // With creations in hand the position goes with their result: the next leader must find them.
    const isAlone = creations.length + moves.length === 0
    await endLeases(endings, isAlone, signal)
    const most = settings.maxWebhooksPerApplication
    await answer(webhooks, changeWebhooks(webhooks, view, { most, now: now() }), isAlone, signal)
    await answer(keys, changeKeys(keys, view, now()), isAlone, signal)
    if (!isAlone) return take(creations, moves, signal)
    await seams.close(signal)
    if (await endLost(signal)) return unfinished()
    const { unwanted, kept } = clock.abandoned(settings)
    const keeping = kept.slice(0, MOST_REQUESTS).flatMap((id) => keepingStream(view.stream(id), now()))
    if (keeping.length > 0) await leader.write(keeping, [], signal)
    const requests = unwanted.slice(0, MOST_REQUESTS)
    return requests.length > 0 ? { kind: 'delete', requests, controlOffset } : undefined
  }

  /** The leases that leave the registry where so many more end. */
  const endedBefore = (more: number) => view.endedBefore(Math.max(0, MOST_ENDED - more))

  /** Ends streams whose topics somebody else has removed, with their leases: readers ask again, and get a new topic. */
  const endLost = async (signal: AbortSignal): Promise<boolean> => {
    const lost = await lostTopics.look(signal)
    for (let first = 0; first < lost.length; first += MOST_REQUESTS) {
      const streams = lost.slice(first, first + MOST_REQUESTS)
      const leases = streams.flatMap((id) => [...view.leasesOf(id)])
      const records = [
        ...leases.map((lease) => endingLease(lease, TOPIC_REMOVED)),
        ...streams.flatMap((id) => endingStream(view.stream(id))),
      ]
      await leader.write(records, endedBefore(leases.length), signal)
    }
    return lost.length > 0
  }

  /** A poll that fails half-way has read requests that nobody has in hand: the next poll begins where the registry says. */
  const pollOrRewind = async (signal: AbortSignal): Promise<TopicBatch | undefined> => {
    try {
      return await poll(signal)
    } catch (error) {
      term = 0
      throw error
    }
  }

  /** Gives each request its topic: one that serves its spec, and reaches far enough back where it asks for the past, or a new one. */
  const take = async (
    creations: readonly ControlRecordOf<'CREATE_TOPIC_REQUEST'>[],
    moves: readonly MoveRequest[],
    signal: AbortSignal,
  ): Promise<TopicBatch> => {
    const accepted: MoveRequest[] = []
    for (const move of moves) {
      const refusal = refusalOf(move, view)
      if (refusal === undefined) accepted.push(move)
      else await reply([move.requestId], view.nextOffset, refusal)
    }
    const requests = await placeRequests(coordinator, creations, lastOfEach(accepted), signal)
    return { kind: 'create', requests, controlOffset }
  }

  /** Ends the leases that applications gave up, and answers these. Ends the leases that nobody has read for their time to live. */
  const endLeases = async (
    asked: readonly ControlRecordOf<'END_LEASE_REQUEST'>[],
    withPosition: boolean,
    signal: AbortSignal,
  ): Promise<void> => {
    const ended = new Map<string, RegistryBody & { kind: 'lease' }>()
    const unknown: string[] = []
    for (const { leaseId, app, requestId } of asked) {
      const lease = view.leaseRecord(leaseId)
      // The lease has ended, and only the answer got lost: all is as it should be.
      const owner = lease?.app ?? view.ownerOfEnded(leaseId)
      if (owner === undefined || (owner !== app && app !== 'admin')) unknown.push(requestId)
      else if (lease) ended.set(leaseId, endingLease(lease, 'deleted'))
    }
    const expired = isLookDue() ? clock.expired(leasesRead()) : []
    for (const lease of expired.slice(0, MOST_EXPIRED)) ended.set(lease.id, endingLease(lease, 'expired'))
    const position = withPosition ? [{ kind: 'leader', controlOffset } as const] : []
    const offset =
      ended.size > 0
        ? await leader.write([...ended.values(), ...position], endedBefore(ended.size), signal)
        : view.nextOffset
    const done = asked.map(({ requestId }) => requestId).filter((id) => !unknown.includes(id))
    await reply(done, offset, null)
    await reply(unknown, offset, unknownLease())
  }

  /** Writes what requests come to, and answers who asked. */
  const answer = async (
    asked: readonly { readonly requestId: string }[],
    changes: {
      readonly records: readonly RegistryBody[]
      readonly removed?: readonly (WebhookRecord | KeyRecord)[]
      readonly failures: ReadonlyMap<string, TapelineError>
    },
    withPosition: boolean,
    signal: AbortSignal,
  ): Promise<void> => {
    if (asked.length === 0) return
    const { records, removed = [], failures } = changes
    const position = withPosition ? [{ kind: 'leader', controlOffset } as const] : []
    const offset =
      records.length > 0 ? await leader.write([...records, ...position], removed, signal) : view.nextOffset
    const done = asked.map(({ requestId }) => requestId).filter((id) => !failures.has(id))
    await reply(done, offset, null)
    for (const [requestId, failure] of failures) await reply([requestId], offset, failure)
  }

  /** Answers the requests of a batch that is given up. The registry has what the batch made; askers ask for the rest again. */
  const giveUp = async (): Promise<void> => {
    const givenUp = hand.held
    hand.drop()
    if (givenUp?.kind !== 'create' || view.controlOffset < givenUp.controlOffset) return
    const has = ({ leaseId, moves, spec }: TopicRequest): boolean =>
      moves
        ? view.stream(view.leaseRecord(leaseId)?.streamId ?? '') === view.streamOf(spec)
        : view.leaseRecord(leaseId) !== undefined
    const idsOf = (some: readonly TopicRequest[]): string[] => some.map(({ requestId }) => requestId)
    const { requests } = givenUp
    await reply(idsOf(requests.filter(has)), view.nextOffset, null)
    const changed = new TapelineError('CONTROL_UNAVAILABLE', 'the leader changed before the request was done')
    await reply(idsOf(requests.filter((request) => !has(request))), view.nextOffset, changed)
  }

  /** Looks for a batch to work on; gives whether this process leads. */
  const look = async (signal: AbortSignal): Promise<boolean> => {
    if (!(await leader.lead(signal))) {
      lostTopics.rest()
      hand.drop()
      return false
    }
    if (hand.held !== undefined && leader.term !== term) await giveUp()
    await begin(signal)
    if (hand.held !== undefined) return true
    const batch = unfinished() ?? (await pollOrRewind(signal))
    if (batch !== undefined) hand.give(batch)
    return true
  }

  return {
    async receive(signal) {
      while (!signal.aborted) {
        const leads = await withDeadline(signal, LOOK_MS, look)
        if (hand.held) return hand.held
        if (!leads) await delay(FOLLOW_MS, signal)
      }
      throw signal.reason
    },
    async resume(signal) {
      if (!(await leader.lead(signal))) hand.drop()
      else if (hand.held !== undefined && leader.term !== term) await giveUp()
      return hand.held !== undefined
    },
    reply,
    close: closeReader,
  }
}
