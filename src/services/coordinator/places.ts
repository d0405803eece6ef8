import type { ControlRecordOf } from '../../control/control-records.ts'
import type { StreamEntry } from '../../control/registry-view.ts'
import { type StreamFrom, type StreamSpec, specKey } from '../../domain/stream-spec.ts'
import { firstCandle } from '../../domain/stream-windows.ts'
import type { TopicRequest } from '../../ports/pipeline.ts'
import { reachesBack, startsOf } from './beginnings.ts'
import type { MoveRequest } from './moves.ts'
import type { CoordinatorParts } from './requests.ts'

/** The topic of a request, and where its stream begins. */
type Place = Pick<TopicRequest, 'topicName' | 'start' | 'since'>

/** Gives each request its topic: one that serves its spec, and reaches far enough back where it asks for the past, or a new one. */
export async function placeRequests(
  coordinator: CoordinatorParts,
  creations: readonly ControlRecordOf<'CREATE_TOPIC_REQUEST'>[],
  moves: readonly MoveRequest[],
  signal: AbortSignal,
): Promise<TopicRequest[]> {
  const { view } = coordinator.registry
  const places = new Map<string, Place>()
  const requests: TopicRequest[] = []
  for (const { spec, from, requestId, leaseId, app, ttlMs, standing } of creations) {
    const key = `${from ?? 'live'} ${specKey(spec)}`
    const place = places.get(key) ?? (await placeIn(coordinator, view.streamOf(spec), spec, from, signal))
    places.set(key, place)
    requests.push({ ...place, partitions: 1, spec, requestId, leaseId, app, ttlMs, standing })
  }
  for (const move of moves) {
    const { key, place } = await moveTo(coordinator, move, places, signal)
    places.set(key, place)
    const { spec, requestId, leaseId, app, ttlMs } = move
    const about = { spec, requestId, leaseId, app, ttlMs, standing: false, moves: true } as const
    requests.push({ ...place, partitions: 1, ...about })
  }
  return requests
}

/** The topic that a lease moves to. It does not go back to one that it has had: a place in there would mean two things. */
async function moveTo(
  coordinator: CoordinatorParts,
  { leaseId, spec }: Pick<MoveRequest, 'leaseId' | 'spec'>,
  places: ReadonlyMap<string, Place>,
  signal: AbortSignal,
): Promise<{ readonly key: string; readonly place: Place }> {
  const { view } = coordinator.registry
  const lease = view.leaseRecord(leaseId)
  const current = view.stream(lease?.streamId ?? '')
  const shared = `live ${specKey(spec)}`
  const own = `${leaseId} ${shared}`
  if (current !== undefined && specKey(current.spec) === specKey(spec))
    return { key: own, place: { topicName: current.topic } }
  const hasHad = (topic: string): boolean =>
    lease?.former?.some(({ streamId }) => streamId === topic) ?? false
  const known = places.get(shared)
  if (known !== undefined && !hasHad(known.topicName)) return { key: shared, place: known }
  const stream = view.streamOf(spec)
  const free = stream !== undefined && hasHad(stream.topic) ? undefined : stream
  const place = await placeIn(coordinator, free, spec, undefined, signal)
  return { key: free === stream ? shared : own, place }
}

/** In a stream of the same spec, where that reaches far enough back, or in a new one. */
async function placeIn(
  coordinator: CoordinatorParts,
  stream: StreamEntry | undefined,
  spec: StreamSpec,
  from: StreamFrom | undefined,
  signal: AbortSignal,
): Promise<Place> {
  const { names, newId, now } = coordinator
  if (from === undefined && stream !== undefined) return { topicName: stream.topic }
  const fresh = `${names.dynamic}${newId()}`
  const first = from === 'earliest' ? undefined : firstCandle(spec, from, now())
  const beginning = first?.from ?? from
  if (beginning === undefined) return { topicName: fresh }
  const start = await startsOf(coordinator, spec.channel, beginning, signal)
  if (stream !== undefined && (await reachesBack(coordinator, stream, start, signal)))
    return { topicName: stream.topic, start }
  return { topicName: fresh, start, ...(first && { since: first.since }) }
}
