import { withDeadline } from '../../async/deadline.ts'
import { createSerializer } from '../../async/serialize.ts'
import type { StreamRecord } from '../../control/registry-records.ts'
import { TapelineError } from '../../errors.ts'
import type { TopicIdentity } from '../../ports/broker.ts'
import type { Carried, TopicBatch } from '../../ports/pipeline.ts'
import { makeRequestedTopics, makeTopics } from './make-topics.ts'
import { tellActors } from './notify.ts'
import { type CoordinatorParts, createRequestQueue } from './requests.ts'
import { endingStream } from './stream-records.ts'

/** How long one step may take: making 200 topics takes seconds on a busy broker. */
const STEP_MS = 30_000

/** The services of the coordinator machine. */
export interface CoordinatorServices {
  receiveRequests(signal: AbortSignal): Promise<Carried<TopicBatch>>
  createTopics(batch: TopicBatch, signal: AbortSignal): Promise<void>
  notifyActors(batch: Carried<TopicBatch>, signal: AbortSignal): Promise<void>
  deleteTopics(batch: Carried<TopicBatch>, signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** Joins the coordinators. The one to whom the group gives the registry's one partition leads (R7). */
export async function createCoordinatorServices(
  coordinator: CoordinatorParts,
  signal: AbortSignal,
): Promise<CoordinatorServices> {
  const { broker, registry, leader, settings, log } = coordinator
  const { view } = registry
  await leader.join(signal)
  const queue = createRequestQueue(coordinator)
  const inTurn = createSerializer()
  /** Streams that are ready in the registry and that no actor has heard of yet. */
  const untold = new Set<string>()

  const answers = { reply: queue.reply, onReady: (streamId: string) => untold.add(streamId) }

  /** Marks streams as ending: producers drop the route when they see it. */
  const markEnding = async (streamIds: readonly string[], stop: AbortSignal): Promise<void> => {
    const ending = streamIds.flatMap((id) => endingStream(view.stream(id)))
    if (ending.length > 0) await leader.write(ending, [], stop)
  }

  /**
   * The topics of streams, as the registry knows them. Where a leader did not finish making a topic, the registry has no identity of it.
   * Making the topic again tells its identity, or that it is not ours: its name was new when the leader registered it.
   */
  const identities = async (
    streams: readonly StreamRecord[],
    stop: AbortSignal,
  ): Promise<readonly TopicIdentity[]> => {
    const unfinished = streams.filter(({ topicId }) => topicId === '').map(({ topic }) => topic)
    const outcome = await makeTopics(broker, unfinished, settings.retentionMs, stop)
    return streams.flatMap(({ topic: name, topicId }) => {
      if (topicId !== '') return [{ name, id: topicId }]
      const made = outcome.get(name)
      if (made === undefined) return []
      if (!(made instanceof TapelineError)) return [{ name, id: made.id }]
      log.warn({ topic: name, reason: made.message }, 'a topic that was not finished is left as it is')
      return []
    })
  }

  const notifyActors = async (batch: Carried<TopicBatch>, stop: AbortSignal): Promise<void> => {
    if (batch.kind === 'create') {
      const ready = [...untold].filter((id) => view.stream(id)?.state === 'ready')
      if (ready.length > 0) await tellActors(coordinator, 'ready', ready, stop)
      // A stream that is not ready any more has ended meanwhile. Its end has a notification of its own.
      untold.clear()
      batch.done()
      return
    }
    const ended = batch.requests.map(({ streamId }) => streamId)
    await markEnding(ended, stop)
    await tellActors(coordinator, 'ended', ended, stop)
  }

  const deleteTopics = async (batch: Carried<TopicBatch>, stop: AbortSignal): Promise<void> => {
    const streams = batch.requests.flatMap(({ topicName }) => view.stream(topicName) ?? [])
    await broker.deleteTopics(await identities(streams, stop), stop)
    await leader.write([{ kind: 'leader', controlOffset: batch.controlOffset }], streams, stop)
    batch.done()
  }

  /** One step at a time, and only as the leader. Where the batch was given up, its steps do nothing. */
  const lead = (stop: AbortSignal, work: (deadline: AbortSignal) => Promise<void>): Promise<void> =>
    inTurn(() =>
      withDeadline(stop, STEP_MS, async (deadline) => {
        if (await queue.resume(deadline)) await work(deadline)
      }),
    )

  return {
    receiveRequests: (stop) => inTurn(() => queue.receive(stop)),
    createTopics: (batch, stop) =>
      lead(stop, async (deadline) => {
        if (batch.kind === 'create') await makeRequestedTopics(coordinator, batch, answers, deadline)
      }),
    notifyActors: (batch, stop) => lead(stop, (deadline) => notifyActors(batch, deadline)),
    deleteTopics: (batch, stop) => lead(stop, (deadline) => deleteTopics(batch, deadline)),
    async close() {
      await queue.close()
      await leader.leave()
    },
  }
}
