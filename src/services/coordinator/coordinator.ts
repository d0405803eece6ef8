import { withDeadline } from '../../control/deadline.ts'
import { CONTROL_VERSION, type StreamRecord } from '../../control/records.ts'
import { REGISTRY_TOPIC } from '../../control/topics.ts'
import { isAbort, TapelineError, toTapelineError } from '../../errors.ts'
import type { GroupMember, TopicDescription, TopicSpec } from '../../ports/broker.ts'
import type { TopicBatch } from '../../ports/pipeline.ts'
import { createSerializer } from '../serialize.ts'
import type { RegistryBody } from './leader.ts'
import { type CoordinatorParts, createRequestQueue, type ReadRequest } from './requests.ts'

const GROUP = 'tapeline.coordinators'
const ACKNOWLEDGE_WAIT_MS = 200

/** The services of the coordinator machine. */
export interface CoordinatorServices {
  receiveRequests(signal: AbortSignal): Promise<TopicBatch>
  createTopics(batch: TopicBatch, signal: AbortSignal): Promise<void>
  notifyActors(batch: TopicBatch, signal: AbortSignal): Promise<void>
  deleteTopics(batch: TopicBatch, signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

export async function createCoordinatorServices(
  parts: CoordinatorParts,
  signal: AbortSignal,
): Promise<CoordinatorServices> {
  const { broker, registry, bus, membership, leader, instance, settings, now, newId, log } = parts
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
  /** The streams of the batch in hand that got ready, or are ending. */
  let changed: readonly string[] = []

  /** Makes the topics all at once; where that fails for one, one by one, so that it delays no other. */
  const makeTopics = async (
    names: readonly string[],
    stop: AbortSignal,
  ): Promise<Map<string, TopicDescription | Error>> => {
    const specs: TopicSpec[] = names.map((name) => ({
      name,
      partitions: 1,
      retentionMs: settings.retentionMs,
    }))
    try {
      const topics = await broker.createTopics(specs, stop)
      return new Map(topics.map((topic) => [topic.name, topic]))
    } catch (error) {
      const { code } = toTapelineError(error)
      if (isAbort(error) || specs.length === 1 || code === 'BROKER_UNAVAILABLE' || code === 'TIMEOUT')
        throw error
    }
    const result = new Map<string, TopicDescription | Error>()
    for (const spec of specs) {
      try {
        const [topic] = await broker.createTopics([spec], stop)
        if (topic) result.set(spec.name, topic)
      } catch (error) {
        result.set(spec.name, toTapelineError(error))
      }
    }
    return result
  }

  /** The end of each fixed topic, once a batch: nothing before is derived for a stream that starts now (R4). */
  const fixedEnds = async (
    stop: AbortSignal,
  ): Promise<(channel: StreamRecord['spec']['channel']) => number[]> => {
    const topics = new Map((await broker.listTopics('', stop)).map((topic) => [topic.name, topic]))
    return (channel) => topics.get(settings.fixedTopics[channel])?.offsets.map(({ end }) => end) ?? []
  }

  /** The requests within the limit of their application; those before it in the batch count too. */
  const withinLimits = (): ReadRequest[] => {
    const streams = Map.groupBy(view.leases(), ({ app }) => app)
    const counts = new Map([...streams].map(([app, leases]) => [app, leases.length]))
    const asked = new Set<string>()
    return queue.requests().filter(({ record: { app, leaseId, standing } }) => {
      if (standing || view.leaseRecord(leaseId) || asked.has(leaseId)) return true
      const count = counts.get(app) ?? 0
      if (count >= settings.maxPerApplication) return false
      counts.set(app, count + 1)
      asked.add(leaseId)
      return true
    })
  }

  const createTopics = async (stop: AbortSignal): Promise<void> => {
    await leader.lead(stop)
    const accepted = withinLimits()
    const refused = queue.requests().filter((request) => !accepted.includes(request))
    const fresh = new Map<string, StreamRecord['spec']>()
    for (const { topicName, record } of accepted) {
      if (view.streamOf(record.spec)?.state !== 'ready') fresh.set(topicName, record.spec)
    }
    const streamId = (topicName: string): string => topicName
    const body = (topicName: string, spec: StreamRecord['spec']) =>
      ({ kind: 'stream', id: streamId(topicName), topic: topicName, spec, createdAt: now() }) as const
    if (fresh.size > 0) {
      const creating = [...fresh].map(([name, spec]) => ({
        ...body(name, spec),
        state: 'creating' as const,
        topicId: '',
        start: [],
      }))
      await leader.write(creating, [], stop)
    }

    const topics =
      fresh.size > 0 ? await makeTopics([...fresh.keys()], stop) : new Map<string, TopicDescription | Error>()
    const ends = await fixedEnds(stop)
    const records: RegistryBody[] = []
    const failed = new Map<string, Error>()
    for (const [name, spec] of fresh) {
      const topic = topics.get(name)
      if (topic === undefined || topic instanceof Error) {
        failed.set(name, topic ?? new TapelineError('TOPIC_CREATION_FAILED', `${name} was not made`))
        continue
      }
      records.push({ ...body(name, spec), state: 'ready', topicId: topic.id, start: ends(spec.channel) })
    }
    const answered = accepted.filter(({ topicName }) => !failed.has(topicName))
    for (const { record, topicName } of answered) {
      if (view.leaseRecord(record.leaseId)) continue
      records.push({
        kind: 'lease',
        id: record.leaseId,
        state: 'live',
        reason: '',
        app: record.app,
        streamId: view.streamOf(record.spec)?.id ?? streamId(topicName),
        ttlMs: record.ttlMs,
        standing: record.standing,
        createdAt: now(),
      })
    }
    const abandoned = [...failed.keys()].flatMap((name) => view.stream(streamId(name)) ?? [])
    records.push({ kind: 'leader', controlOffset: queue.controlOffset })
    const offset = await leader.write(records, abandoned, stop)
    changed = [...fresh.keys()].filter((name) => !failed.has(name)).map(streamId)

    const ids = (requests: readonly ReadRequest[]): string[] => requests.map(({ record }) => record.requestId)
    await queue.reply(ids(answered), offset, null)
    await queue.reply(
      ids(refused),
      offset,
      new TapelineError('STREAM_LIMIT', `the application has ${settings.maxPerApplication} streams already`),
    )
    for (const [name, error] of failed) {
      const asked = accepted.filter(({ topicName }) => topicName === name)
      log.warn({ topic: name, reason: error.message }, 'a dynamic topic could not be made')
      await queue.reply(ids(asked), offset, new TapelineError('TOPIC_CREATION_FAILED', error.message))
    }
  }

  const notifyActors = async (batch: TopicBatch, stop: AbortSignal): Promise<void> => {
    await leader.lead(stop)
    if (batch.kind === 'delete') {
      changed = batch.requests.map(({ streamId }) => streamId)
      const ending = changed.flatMap((id) => {
        const stream = view.stream(id)
        if (!stream || stream.state === 'ending') return []
        const { v: _v, instance: _instance, epoch: _epoch, offset: _offset, ...rest } = stream
        return [{ ...rest, state: 'ending' as const }]
      })
      if (ending.length > 0) await leader.write(ending, [], stop)
    }
    if (changed.length > 0) await tellActors(batch.kind === 'create' ? 'ready' : 'ended', stop)
    if (batch.kind === 'create') queue.finish()
  }

  const deleteTopics = async (batch: TopicBatch, stop: AbortSignal): Promise<void> => {
    await leader.lead(stop)
    const streams = batch.requests.flatMap(({ topicName }) => view.stream(topicName) ?? [])
    await broker.deleteTopics(
      batch.requests.map(({ topicName }) => topicName),
      stop,
    )
    await leader.write([{ kind: 'leader', controlOffset: queue.controlOffset }], streams, stop)
    queue.finish()
  }

  return {
    receiveRequests: (stop) => inTurn(() => queue.receive(() => assigned, stop)),
    createTopics: (_batch, stop) => inTurn(() => createTopics(stop)),
    notifyActors: (batch, stop) => inTurn(() => notifyActors(batch, stop)),
    deleteTopics: (batch, stop) => inTurn(() => deleteTopics(batch, stop)),
    async close() {
      await queue.close()
      await member.leave()
    },
  }

  /** NOTIFY_PRODUCER and NOTIFY_CONSUMER, then the acknowledgements of live producers and gateways, at most 200 ms (R10). */
  async function tellActors(change: 'ready' | 'ended', stop: AbortSignal): Promise<void> {
    const notificationId = newId()
    const notification = {
      v: CONTROL_VERSION,
      instance,
      notificationId,
      epoch: leader.epoch,
      registryOffset: view.nextOffset,
      ready: change === 'ready' ? [...changed] : [],
      ended: change === 'ended' ? [...changed] : [],
    } as const
    const outstanding = new Set(
      membership
        .live()
        .flatMap(({ instance: name, roles }) =>
          roles.filter((role) => role === 'producer' || role === 'gateway').map((role) => `${name}/${role}`),
        ),
    )
    const acknowledged = withDeadline(stop, ACKNOWLEDGE_WAIT_MS, (deadline) =>
      bus.first(
        'ACKNOWLEDGE',
        (record) => {
          if (record.notificationId === notificationId)
            outstanding.delete(`${record.instance}/${record.role}`)
          return outstanding.size === 0
        },
        deadline,
      ),
    ).catch(() => undefined)
    await bus.send(
      [
        { ...notification, kind: 'NOTIFY_PRODUCER' },
        { ...notification, kind: 'NOTIFY_CONSUMER' },
      ],
      stop,
    )
    await acknowledged
    if (outstanding.size > 0 && !stop.aborted) {
      log.info({ missing: [...outstanding] }, 'a notification was not acknowledged; the registry will tell')
    }
  }
}
