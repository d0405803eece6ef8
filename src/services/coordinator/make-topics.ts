import type { Channel } from '../../domain/events.ts'
import { isAbort, TapelineError, toTapelineError } from '../../errors.ts'
import type { Broker, TopicDescription, TopicSpec } from '../../ports/broker.ts'
import type { TopicBatch, TopicRequest } from '../../ports/pipeline.ts'
import { startsOf } from './beginnings.ts'
import type { RegistryBody } from './leader.ts'
import { movedLease, unknownLease, withoutAuthor } from './moves.ts'
import type { CoordinatorParts, RequestQueue } from './requests.ts'

/** A record of the registry has at most 1 MiB, and holds more than the spec. */
const MOST_SPEC_BYTES = 512 * 1024

/** What became of each topic by its name: made, or why not. */
type Outcome = ReadonlyMap<string, TopicDescription | TapelineError>

/** What hears the outcomes of requests. */
interface Answers extends Pick<RequestQueue, 'reply'> {
  /** A stream got ready. */
  readonly onReady: (streamId: string) => void
}

/**
 * Makes the topics of the requests in hand, tells which streams got ready, and answers each request by itself. The registry comes first
 * (`creating`), then the topic, then one transaction with `ready`, its start, the leases and the leader's position (R10). A second try gives
 * the same topics and leases. A stream's id is the name of its topic.
 */
export async function makeRequestedTopics(
  coordinator: CoordinatorParts,
  { requests, controlOffset }: TopicBatch & { readonly kind: 'create' },
  { reply, onReady }: Answers,
  signal: AbortSignal,
): Promise<void> {
  const { broker, registry, leader, settings, log } = coordinator
  const { view } = registry
  const hasLease = ({ moves, leaseId }: TopicRequest): boolean =>
    moves === undefined || view.leaseRecord(leaseId) !== undefined
  const leased = requests.filter(hasLease)
  const gone = requests.filter((request) => !hasLease(request))
  const [small, large] = bySize(leased)
  const { accepted, beyond, full } = withinLimits(coordinator, small)
  const fresh = new Map<string, TopicRequest>()
  for (const request of accepted) {
    if (view.stream(request.topicName)?.state !== 'ready') fresh.set(request.topicName, request)
  }

  const creating = [...fresh.values()].map((request) => streamBody(coordinator, request, 'creating', '', []))
  if (creating.length > 0) await leader.write(creating, [], signal)
  const outcome = await makeTopics(broker, [...fresh.keys()], settings.retentionMs, signal)
  const moving = accepted.filter(({ moves }) => moves)
  // What a topic holds by now comes of fixed records in front of the ends that are read after it.
  const begins = await topicEnds(coordinator, moving, signal)
  const live = [...fresh.values()].filter(({ start }) => start === undefined)
  const left = moving.flatMap(({ leaseId }) => view.stream(view.leaseRecord(leaseId)?.streamId ?? '') ?? [])
  const ends = await fixedEnds(coordinator, [...live, ...moving, ...left], signal)

  const failed = new Map<string, TapelineError>()
  const ready: RegistryBody[] = []
  for (const [name, request] of fresh) {
    const topic = outcome.get(name) ?? new TapelineError('TOPIC_CREATION_FAILED', `${name} was not made`)
    if (topic instanceof TapelineError) failed.set(name, topic)
    else {
      const start = request.start ?? ends.get(request.spec.channel) ?? []
      ready.push(streamBody(coordinator, request, 'ready', topic.id, start))
    }
  }
  const answered = accepted.filter(({ topicName }) => !failed.has(topicName))
  const leases = [
    ...answered
      .filter(({ moves }) => !moves)
      .flatMap((request) => leaseBody(coordinator, request, fresh.has(request.topicName)) ?? []),
    ...movedLeases(
      coordinator,
      answered.filter(({ moves }) => moves),
      { begins, ends },
    ),
  ]
  // Where nobody knows whether a topic was made, its record stays: without a lease the topic goes after the grace.
  const abandoned = [...failed].flatMap(([name, { retryable }]) =>
    retryable ? [] : (view.stream(name) ?? []),
  )
  const position = { kind: 'leader', controlOffset } as const
  const offset = await leader.write([...ready, ...leases, position], abandoned, signal)
  for (const name of fresh.keys()) if (!failed.has(name)) onReady(name)

  await reply(requestIds(answered), offset, null)
  await reply(requestIds(gone), offset, unknownLease())
  const limit = `the application has ${settings.maxPerApplication} streams already`
  await reply(requestIds(beyond), offset, new TapelineError('STREAM_LIMIT', limit))
  for (const [what, requests] of Object.entries(full))
    await reply(
      requestIds(requests),
      offset,
      new TapelineError('LIMIT_REACHED', `there is no room for further ${what}`),
    )
  const size = `what the stream asks for is larger than ${MOST_SPEC_BYTES / 1024} KiB`
  await reply(requestIds(large), offset, new TapelineError('RECORD_TOO_LARGE', size))
  for (const [name, error] of failed) {
    log.warn({ topic: name, reason: error.message }, 'a dynamic topic could not be made')
    const asked = accepted.filter(({ topicName }) => topicName === name)
    await reply(requestIds(asked), offset, asTold(error))
  }
}

/** What the asker hears: asking again helps, unless the broker will never make the topic. */
function asTold(error: TapelineError): TapelineError {
  const isRefused = error.code === 'BROKER_REFUSED' || error.code === 'BROKER_FORBIDDEN'
  return isRefused ? error : new TapelineError('TOPIC_CREATION_FAILED', error.message)
}

/** The requests that the registry can hold, and those that are too large: one of these would fail the whole batch for ever. */
function bySize(requests: readonly TopicRequest[]): [TopicRequest[], TopicRequest[]] {
  const isLarge = ({ spec }: TopicRequest): boolean =>
    Buffer.byteLength(JSON.stringify(spec)) > MOST_SPEC_BYTES
  return [requests.filter((request) => !isLarge(request)), requests.filter(isLarge)]
}

function requestIds(requests: readonly TopicRequest[]): string[] {
  return requests.map(({ requestId }) => requestId)
}

/**
 * The requests within the limits, those beyond that of their application, and those for which the platform has no room. Earlier requests of the
 * batch count too. Standing streams always have room.
 */
function withinLimits({ registry, settings }: CoordinatorParts, requests: readonly TopicRequest[]) {
  const { view } = registry
  const leases = [...view.leases()]
  const counts = new Map([...Map.groupBy(leases, ({ app }) => app)].map(([app, own]) => [app, own.length]))
  const topics = new Set([...view.streams()].map(({ topic }) => topic))
  const asked = new Set<string>()
  const accepted: TopicRequest[] = []
  const beyond: TopicRequest[] = []
  const full: Record<'streams' | 'topics', TopicRequest[]> = { streams: [], topics: [] }
  for (const request of requests) {
    const { app, leaseId, standing, topicName } = request
    const isKnown = view.leaseRecord(leaseId) !== undefined || asked.has(leaseId)
    const count = counts.get(app) ?? 0
    if (!standing) {
      if (!isKnown && count >= settings.maxPerApplication) {
        beyond.push(request)
        continue
      }
      if (!isKnown && leases.length + asked.size >= settings.maxStreams) {
        full.streams.push(request)
        continue
      }
      if (!topics.has(topicName) && topics.size >= settings.maxTopics) {
        full.topics.push(request)
        continue
      }
      if (!isKnown) {
        counts.set(app, count + 1)
        asked.add(leaseId)
      }
    }
    topics.add(topicName)
    accepted.push(request)
  }
  return { accepted, beyond, full }
}

function streamBody(
  { now }: CoordinatorParts,
  { topicName: id, spec, since }: TopicRequest,
  state: 'creating' | 'ready',
  topicId: string,
  start: readonly number[],
): RegistryBody {
  return {
    ...{ kind: 'stream', id, state, topic: id, topicId, spec, start: [...start], createdAt: now() },
    ...(since !== undefined && { since }),
  }
}

/** The lease of a request; undefined if the registry has it already: asking again is harmless. */
function leaseBody(
  { registry, now }: CoordinatorParts,
  { topicName, start, leaseId, app, ttlMs, standing }: TopicRequest,
  opensTopic: boolean,
): RegistryBody | undefined {
  const { view } = registry
  if (view.leaseRecord(leaseId)) return undefined
  return {
    kind: 'lease',
    id: leaseId,
    state: 'live',
    reason: '',
    app,
    streamId: topicName,
    ttlMs,
    standing,
    opensTopic,
    ...(start !== undefined && !opensTopic && { start }),
    createdAt: now(),
  }
}

/** The leases that move, each as the last of its requests leaves it. */
function movedLeases(
  { registry: { view } }: CoordinatorParts,
  requests: readonly TopicRequest[],
  {
    begins,
    ends,
  }: { readonly begins: ReadonlyMap<string, number>; readonly ends: ReadonlyMap<Channel, number[]> },
): RegistryBody[] {
  const moved = new Map<string, RegistryBody & { kind: 'lease' }>()
  for (const { leaseId, topicName: streamId, ttlMs, spec } of requests) {
    const lease = moved.get(leaseId) ?? view.leaseRecord(leaseId)
    if (lease === undefined) continue
    if (lease.streamId === streamId) {
      if (lease.ttlMs !== ttlMs) moved.set(leaseId, { ...withoutAuthor(lease), ttlMs })
      continue
    }
    const seam = {
      start: ends.get(spec.channel) ?? [],
      begin: begins.get(streamId) ?? 0,
      seam: ends.get(view.stream(lease.streamId)?.spec.channel ?? spec.channel) ?? [],
    }
    moved.set(leaseId, movedLease(lease, { streamId, ttlMs }, seam, view))
  }
  return [...moved.values()]
}

/** The ends of the topics that leases move to, of those that hold something. */
async function topicEnds(
  { broker, registry: { view } }: CoordinatorParts,
  requests: readonly TopicRequest[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const names = [...new Set(requests.map(({ topicName }) => topicName))]
  const shown = names.length > 0 ? await broker.describeTopics(names, signal) : []
  return new Map(
    shown
      .filter(({ name, id }) => view.stream(name)?.topicId === id)
      .map(({ name, offsets }) => [name, offsets[0]?.end ?? 0]),
  )
}

/** Makes the topics all at once; if that fails for one, makes them one by one, so that the one delays no other. */
export async function makeTopics(
  broker: Broker,
  names: readonly string[],
  retentionMs: number,
  signal: AbortSignal,
): Promise<Outcome> {
  if (names.length === 0) return new Map()
  const specs: TopicSpec[] = names.map((name) => ({ name, partitions: 1, retentionMs }))
  try {
    const topics = await broker.createTopics(specs, signal)
    return new Map(topics.map((topic) => [topic.name, topic]))
  } catch (error) {
    const { code } = toTapelineError(error)
    if (isAbort(error) || code === 'BROKER_UNAVAILABLE' || code === 'BROKER_FULL' || code === 'TIMEOUT')
      throw error
  }
  const outcome = new Map<string, TopicDescription | TapelineError>()
  for (const spec of specs) {
    try {
      for (const topic of await broker.createTopics([spec], signal)) outcome.set(spec.name, topic)
    } catch (error) {
      outcome.set(spec.name, toTapelineError(error))
    }
  }
  return outcome
}

/** The ends of the fixed topics of the channels that are asked for. */
async function fixedEnds(
  coordinator: CoordinatorParts,
  requests: readonly Pick<TopicRequest, 'spec'>[],
  signal: AbortSignal,
): Promise<ReadonlyMap<Channel, number[]>> {
  const ends = new Map<Channel, number[]>()
  for (const channel of new Set(requests.map(({ spec }) => spec.channel)))
    ends.set(channel, await startsOf(coordinator, channel, 'live', signal))
  return ends
}
