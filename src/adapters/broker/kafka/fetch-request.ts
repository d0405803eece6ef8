import { type Connection, createAPI, type Reader, Writer } from '@platformatic/kafka'
import type { EpochEnd } from './leader-epochs.ts'
import { WireReader } from './wire-reader.ts'

/** A partition of a fetch. */
interface FetchPosition {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly offset: number
  /** That of the leader as it is known, -1 where it is not: another leader refuses. */
  readonly leaderEpoch: number
  /** `last`: the epoch of the last record that was fetched. A log that differs before `offset` says so. */
  readonly epochs: { readonly last: number }
}

type FetchPlace = Pick<FetchPosition, 'topic' | 'topicId' | 'partition'>

export interface FetchRequest {
  readonly maxWaitMs: number
  readonly maxBytes: number
  readonly maxPartitionBytes: number
  /** 0 with epoch 0 opens a session; with one open, `positions` are what has changed in it. */
  readonly sessionId: number
  readonly sessionEpoch: number
  readonly positions: readonly FetchPosition[]
  /** What the session is to drop. */
  readonly forgotten: readonly FetchPlace[]
}

export interface FetchedPartition {
  readonly partition: number
  readonly errorCode: number
  /** The end for readers of committed records. */
  readonly lastStableOffset: number
  readonly aborted: readonly { readonly producerId: number; readonly firstOffset: number }[]
  /** Batches; the last one may be cut off. */
  readonly bytes: Buffer
  /** Up to where the leader's log and what was fetched are the same, where they differ before the offset that was asked for. */
  readonly diverging: EpochEnd | undefined
}

/** Error codes are the caller's to look at. */
export interface FetchAnswer {
  readonly errorCode: number
  readonly sessionId: number
  /** Topics by their id, or by their name where the version knows no ids. */
  readonly topics: readonly { readonly topic: string; readonly partitions: readonly FetchedPartition[] }[]
}

const FETCH = 1
const CONSUMER = -1
const NO_LOG_START = -1n
const READ_COMMITTED = 1
const MIN_BYTES = 1
/** From this version on topics have ids, and answers tell where a log differs (since 12). */
export const FETCH_BY_ID = 13
const DIVERGING_TAG = 0
/** From this version on requests do not say any more whether a replica asks. */
const WITHOUT_REPLICA = 15

/** Source of the formats: https://kafka.apache.org/protocol#The_Messages_Fetch */
function encode(version: number, request: FetchRequest): Writer {
  const byId = version >= FETCH_BY_ID
  const writer = Writer.create()
  if (version < WITHOUT_REPLICA) writer.appendInt32(CONSUMER)
  writer
    .appendInt32(request.maxWaitMs)
    .appendInt32(MIN_BYTES)
    .appendInt32(request.maxBytes)
    .appendInt8(READ_COMMITTED)
    .appendInt32(request.sessionId)
    .appendInt32(request.sessionEpoch)
    .appendArray(
      byTopic(request.positions),
      (topics, [own, partitions]) => {
        nameTopic(topics, own, byId).appendArray(
          partitions,
          (each, { partition, offset, leaderEpoch, epochs }) => {
            each.appendInt32(partition).appendInt32(leaderEpoch).appendInt64(BigInt(offset))
            if (byId) each.appendInt32(epochs.last)
            each.appendInt64(NO_LOG_START).appendInt32(request.maxPartitionBytes)
          },
          byId,
          byId,
        )
      },
      byId,
      byId,
    )
    .appendArray(
      byTopic(request.forgotten),
      (topics, [own, partitions]) => {
        nameTopic(topics, own, byId).appendArray(
          partitions,
          (each, { partition }) => each.appendInt32(partition),
          byId,
          false,
        )
      },
      byId,
      byId,
    )
    .appendString('', byId)
  return byId ? writer.appendTaggedFields() : writer
}

type TopicName = Omit<FetchPlace, 'partition'>

function byTopic<P extends TopicName>(positions: readonly P[]): [TopicName, P[]][] {
  return [...Map.groupBy(positions, ({ topic }) => topic).values()].flatMap((own): [TopicName, P[]][] => {
    const [first] = own
    return first === undefined ? [] : [[first, own]]
  })
}

function nameTopic(writer: Writer, { topic, topicId }: TopicName, byId: boolean): Writer {
  return byId ? writer.appendUUID(topicId) : writer.appendString(topic, false)
}

/** Records stay as bytes: most of an answer is records, and they are decoded when they are taken. */
function parse(version: number, reader: Reader): FetchAnswer {
  const byId = version >= FETCH_BY_ID
  const wire = new WireReader(reader.buffer.slice(reader.position, reader.length), byId)
  wire.int32()
  const errorCode = wire.int16()
  const sessionId = wire.int32()
  const topics = wire.array(() => {
    const topic = byId ? wire.uuid() : wire.string()
    const partitions = wire.array(() => parsePartition(wire))
    wire.skipTags()
    return { topic, partitions }
  })
  return { errorCode, sessionId, topics }
}

function parsePartition(wire: WireReader): FetchedPartition {
  const partition = wire.int32()
  const errorCode = wire.int16()
  wire.int64()
  const lastStableOffset = wire.int64()
  wire.int64()
  const aborted = wire.array(() => {
    const transaction = { producerId: wire.int64(), firstOffset: wire.int64() }
    wire.skipTags()
    return transaction
  })
  wire.int32()
  const bytes = wire.bytes()
  let diverging: EpochEnd | undefined
  wire.skipTags({
    [DIVERGING_TAG]: () => {
      diverging = { epoch: wire.int32(), endOffset: wire.int64() }
    },
  })
  return { partition, errorCode, lastStableOffset, aborted, bytes, diverging }
}

interface FetchVersion {
  readonly key: number
  readonly version: number
  readonly async: (connection: Connection, request: FetchRequest) => Promise<FetchAnswer>
}

function fetchVersion(version: number): FetchVersion {
  const byId = version >= FETCH_BY_ID
  return createAPI<[FetchRequest], FetchAnswer>(
    FETCH,
    version,
    (request: FetchRequest) => encode(version, request),
    (_correlation, _key, _version, reader) => parse(version, reader),
    byId,
    byId,
  )
}

export const FETCH_VERSIONS: readonly [FetchVersion, ...FetchVersion[]] = [
  fetchVersion(16),
  fetchVersion(13),
  fetchVersion(11),
]
