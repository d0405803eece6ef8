import { deadlineAfter } from '../../async/timers.ts'
import { partitionKey } from '../../domain/record.ts'
import { TapelineError } from '../../errors.ts'
import type { Broker, PartitionRecords, Reader, TransactionalWriter } from '../../ports/broker.ts'
import { abortReason } from './abort-reason.ts'
import { Cluster } from './kafka/cluster.ts'
import { brokerError } from './kafka/errors.ts'
import { explainClosed } from './kafka/explain-closed.ts'
import { KafkaGroupMember } from './kafka/group-member.ts'
import { IdempotentSender } from './kafka/idempotent-sender.ts'
import { listOffsets, OFFSET_AT } from './kafka/offsets.ts'
import { KafkaReader } from './kafka/reader.ts'
import type { KafkaSettings } from './kafka/settings.ts'
import { requirePlace, TopicView } from './kafka/topic-view.ts'
import { Topics } from './kafka/topics.ts'
import { takeOver } from './kafka/transactional-writer.ts'

export { findForbidden, inspectKafka, type KafkaInspection, type KafkaTopic } from './kafka/inspect.ts'
export type { KafkaUses } from './kafka/rights.ts'
export type { KafkaSettings } from './kafka/settings.ts'

/** A server that does not answer a ping for so long has its connection closed, and another one is asked. */
const PING_MS = 2_000
/** Who has answered something else so lately need not be asked: at rest such questions would be a good part of all that is sent. */
const LATELY_MS = 250

/**
 * Connects to Apache Kafka or Redpanda: one attempt. Each reader, writer and group member has connections of its own.
 * Raises BROKER_UNAVAILABLE, BROKER_UNAUTHORIZED, BROKER_FORBIDDEN, BROKER_TLS_FAILED, BROKER_HOST_UNKNOWN, BROKER_UNSUPPORTED.
 */
export async function openKafkaBroker(settings: KafkaSettings, signal: AbortSignal): Promise<Broker> {
  const view = new TopicView()
  const cluster = new Cluster(settings, view)
  try {
    await cluster.introduce(signal)
    return brokerOn(settings, cluster, view)
  } catch (error) {
    await cluster.close()
    signal.throwIfAborted()
    throw await explainClosed(brokerError(error, 'the broker could not be opened'), settings)
  }
}

/** How long a part of the client may take to close in order. */
const CLOSE_MS = 3_000

function brokerOn(settings: KafkaSettings, cluster: Cluster, view: TopicView): Broker {
  const topics = new Topics(cluster, view, settings.replication)
  // Heartbeats and requests do not wait for a large batch of data to go first, nor the fixed topics for those of ten thousand streams.
  const senders = {
    data: new IdempotentSender(settings, view),
    streams: new IdempotentSender(settings, view),
    control: new IdempotentSender(settings, view),
  }
  const transactions = new Cluster(settings, view)
  const pings = new Cluster(settings, view, PING_MS)
  const opened = new Set<Reader | TransactionalWriter>()
  const members = new Set<KafkaGroupMember>()
  let closing: Promise<void> | undefined

  const refuseClosed = (): void => {
    if (closing !== undefined) throw new TapelineError('SHUTTING_DOWN', 'the broker client is closed')
  }

  const close = async (): Promise<void> => {
    await Promise.all([...members].map((member) => member.leave()))
    await Promise.all(Object.values(senders).map((sender) => sender.close()))
    await Promise.all([...opened].map((each) => each.close(deadlineAfter(CLOSE_MS))))
    await Promise.all([transactions.close(), pings.close(), cluster.close()])
  }

  return {
    async createTopics(specs, signal) {
      refuseClosed()
      return topics.create(specs, signal)
    },
    async deleteTopics(identities, signal) {
      refuseClosed()
      return topics.delete(identities, signal)
    },
    async listTopics(prefix, signal) {
      refuseClosed()
      return topics.list(prefix, signal)
    },
    async describeTopics(names, signal) {
      refuseClosed()
      return topics.describe(names, signal)
    },
    async topicIds(names, signal) {
      refuseClosed()
      return topics.ids(names, signal)
    },
    async offsetAt(topic, partition, timestamp, signal) {
      refuseClosed()
      const place = { topic, partition }
      requirePlace(await cluster.topic(topic, signal), place)
      const ask = async (at: bigint): Promise<number> => {
        const found = (await listOffsets(cluster, [place], at, signal)).get(partitionKey(place))
        if (found === undefined) throw new TapelineError('TOPIC_UNKNOWN', `the topic ${topic} is gone`)
        return found
      }
      const found = await ask(BigInt(Math.max(0, Math.ceil(timestamp))))
      return found >= 0 ? found : ask(OFFSET_AT.end)
    },
    async publish(entries, signal) {
      refuseClosed()
      if (entries.length === 0) return []
      refuseMissingKeys(topics, entries)
      return senders[senderOf(entries)].send(entries, signal)
    },
    async takeOver(transactionalId, signal) {
      refuseClosed()
      const writer = await takeOver(settings, transactions, transactionalId, signal, (ended) =>
        opened.delete(ended),
      )
      opened.add(writer)
      return writer
    },
    async openReader(signal) {
      refuseClosed()
      if (signal.aborted) throw abortReason(signal)
      const reader = new KafkaReader(settings, view, (ended) => opened.delete(ended))
      opened.add(reader)
      return reader
    },
    async joinGroup(options, signal) {
      refuseClosed()
      const member = new KafkaGroupMember(settings, view, options, cluster)
      members.add(member)
      try {
        await member.ready(signal)
      } catch (error) {
        members.delete(member)
        throw error
      }
      return {
        commit: (positions, stop) => member.commit(positions, stop),
        async leave() {
          await member.leave()
          members.delete(member)
        },
      }
    },
    async ping(signal) {
      refuseClosed()
      if (performance.now() - view.answeredAt < LATELY_MS) return
      await pings.request('metadata', 'any', [[], false, false], signal)
    },
    close() {
      closing ??= close()
      return closing
    },
  }
}

/** Who sends: for one partition it is always the same, so that its records keep their order. */
function senderOf(entries: readonly PartitionRecords[]): 'data' | 'streams' | 'control' {
  if (entries.every(({ records }) => records[0]?.headers.kind === 'control')) return 'control'
  return entries.every(({ shared }) => shared) ? 'streams' : 'data'
}

/** The broker refuses such records too, but after others of the call may have been written. */
function refuseMissingKeys(topics: Topics, entries: readonly PartitionRecords[]): void {
  for (const { topic, records } of entries) {
    if (topics.isCompacted(topic) && records.some(({ key }) => key === null))
      throw new TapelineError('INPUT_INVALID', `the compacted topic ${topic} takes no record without a key`)
  }
}
