import { REGISTRY_TOPIC } from '../../control/topics.ts'
import type { GroupMember } from '../../ports/broker.ts'
import type { TopicBatch } from '../../ports/pipeline.ts'
import { createSerializer } from '../serialize.ts'
import { makeRequestedTopics } from './make-topics.ts'
import { tellActors } from './notify.ts'
import { type CoordinatorParts, createRequestQueue } from './requests.ts'

const GROUP = 'tapeline.coordinators'

/** The services of the coordinator machine. */
export interface CoordinatorServices {
  receiveRequests(signal: AbortSignal): Promise<TopicBatch>
  createTopics(signal: AbortSignal): Promise<void>
  notifyActors(batch: TopicBatch, signal: AbortSignal): Promise<void>
  deleteTopics(batch: TopicBatch, signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** Joins the coordinators; whoever is given the registry's one partition leads (R7). */
export async function createCoordinatorServices(
  parts: CoordinatorParts,
  signal: AbortSignal,
): Promise<CoordinatorServices> {
  const { broker, registry, leader } = parts
  const { view } = registry
  const queue = createRequestQueue(parts)
  const inTurn = createSerializer()
  let assigned = false
  const member: GroupMember = await broker.joinGroup(
    {
      group: GROUP,
      topics: [REGISTRY_TOPIC],
      onAssignment: async (partitions) => {
        assigned = partitions.length > 0
      },
    },
    signal,
  )
  /** The streams of the batch in hand that got ready. */
  let ready: readonly string[] = []

  /** Marks streams as ending: producers drop the route when they see it. */
  const markEnding = async (streamIds: readonly string[], stop: AbortSignal): Promise<void> => {
    const ending = streamIds.flatMap((id) => {
      const stream = view.stream(id)
      if (!stream || stream.state === 'ending') return []
      const { v: _v, instance: _instance, epoch: _epoch, offset: _offset, ...rest } = stream
      return [{ ...rest, state: 'ending' as const }]
    })
    if (ending.length > 0) await leader.write(ending, [], stop)
  }

  const notifyActors = async (batch: TopicBatch, stop: AbortSignal): Promise<void> => {
    if (batch.kind === 'create') {
      if (ready.length > 0) await tellActors(parts, 'ready', ready, stop)
      queue.finish()
      return
    }
    const ended = batch.requests.map(({ streamId }) => streamId)
    await markEnding(ended, stop)
    await tellActors(parts, 'ended', ended, stop)
  }

  const deleteTopics = async (batch: TopicBatch, stop: AbortSignal): Promise<void> => {
    const names = batch.requests.map(({ topicName }) => topicName)
    const streams = names.flatMap((name) => view.stream(name) ?? [])
    await broker.deleteTopics(names, stop)
    await leader.write([{ kind: 'leader', controlOffset: queue.controlOffset }], streams, stop)
    queue.finish()
  }

  /** One step at a time, and only as the leader: a step that failed may have ended the leadership. */
  const lead = <T>(stop: AbortSignal, work: () => Promise<T>): Promise<T> =>
    inTurn(async () => {
      await leader.lead(stop)
      return work()
    })

  return {
    receiveRequests: (stop) => inTurn(() => queue.receive(() => assigned, stop)),
    createTopics: (stop) =>
      lead(stop, async () => {
        ready = await makeRequestedTopics(parts, queue, stop)
      }),
    notifyActors: (batch, stop) => lead(stop, () => notifyActors(batch, stop)),
    deleteTopics: (batch, stop) => lead(stop, () => deleteTopics(batch, stop)),
    async close() {
      await queue.close()
      await member.leave()
    },
  }
}
