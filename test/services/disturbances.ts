import { TapelineError } from '../../src/errors.ts'
import type { PartitionFetch, Reader } from '../../src/ports/broker.ts'
import type { ProcessBroker } from './process-broker.ts'

type Notice = Extract<PartitionFetch, { kind: 'deleted' | 'truncated' | 'undecodable' }>

/** What a broker says of topics that is not so, or not so any more. */
export interface Disturbances {
  /** What it does not show, as after a stale look at the metadata. */
  readonly hidden: Set<string>
  /** What it gives no answer for. */
  readonly stuck: Set<string>
  /** What it shows under another identity. */
  readonly replaced: Set<string>
  /** What the next poll of each reader that reads such a topic says once. */
  readonly notices: Notice[]
  /** The names that were asked for, and how often for all of the cluster. */
  readonly described: (readonly string[])[]
  listed: number
}

/** Has a broker say such things. */
export function disturb(broker: ProcessBroker): Disturbances {
  const { listTopics, describeTopics, topicIds, openReader, publish } = broker
  const state: Disturbances = {
    ...{ hidden: new Set(), stuck: new Set(), replaced: new Set(), notices: [], described: [], listed: 0 },
  }
  const stall = (signal: AbortSignal): Promise<never> =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
  const idOf = (name: string, id: string): string => (state.replaced.has(name) ? `other-${id}` : id)

  broker.listTopics = async (...call) => {
    state.listed++
    return (await listTopics(...call)).filter(({ name }) => !state.hidden.has(name))
  }
  broker.describeTopics = async (names, signal) => {
    state.described.push(names)
    if (names.some((name) => state.stuck.has(name))) return stall(signal)
    const found = await describeTopics(names, signal)
    return found
      .filter(({ name }) => !state.hidden.has(name))
      .map((topic) => ({ ...topic, id: idOf(topic.name, topic.id) }))
  }
  broker.topicIds = async (names, signal) => {
    const found = [...(await topicIds(names, signal))]
    return new Map(
      found.filter(([name]) => !state.hidden.has(name)).map(([name, id]) => [name, idOf(name, id)]),
    )
  }
  broker.publish = (entries, signal) => {
    const partitions = entries.filter(({ topic }) => state.hidden.has(topic))
    if (partitions.length === 0) return publish(entries, signal)
    return Promise.reject(new TapelineError('TOPIC_UNKNOWN', 'there is no such topic', { partitions }))
  }
  broker.openReader = async (...call) => {
    const inner = await openReader(...call)
    const read = new Set<string>()
    /** Does as the broker would: a topic that is gone is dropped, one that was cut is read on from there. */
    const follow = async (notice: Notice, signal: AbortSignal): Promise<void> => {
      if (notice.kind === 'deleted') {
        read.delete(notice.topic)
        await inner.unassign([{ topic: notice.topic, partition: 0 }], signal)
        return
      }
      const offset = notice.kind === 'truncated' ? notice.earliest : notice.nextOffset
      await inner.assign([{ ...notice, offset }], signal)
    }
    const reader: Reader = {
      async assign(positions, signal) {
        const unknown = positions.find(({ topic }) => state.hidden.has(topic))
        if (unknown) throw new TapelineError('TOPIC_UNKNOWN', `there is no ${unknown.topic}`)
        for (const { topic } of positions) read.add(topic)
        await inner.assign(positions, signal)
      },
      unassign: (...unassigned) => inner.unassign(...unassigned),
      close: (signal) => inner.close(signal),
      async poll(options, signal) {
        const own = state.notices.filter(({ topic }) => read.has(topic))
        for (const notice of own) {
          state.notices.splice(state.notices.indexOf(notice), 1)
          await follow(notice, signal)
        }
        return own.length > 0 ? own : inner.poll(options, signal)
      },
    }
    return reader
  }
  return state
}
