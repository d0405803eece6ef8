import {
  type Connection,
  createAPI,
  produceV7,
  produceV8,
  produceV9,
  produceV11,
  Writer,
} from '@platformatic/kafka'

/** A batch that is encoded, with the partition that it goes to. */
export interface EncodedBatch {
  readonly topic: string
  readonly partition: number
  readonly bytes: Buffer
}

type ProduceArguments = [batches: readonly EncodedBatch[], transactionalId: string | null, timeoutMs: number]

/** Of each partition an error code, or the offset that its batch begins at and the broker's time of it (-1 where the topic keeps ours). */
export interface ProduceAnswer {
  readonly responses: readonly {
    readonly name: string
    readonly partitionResponses: readonly {
      readonly index: number
      readonly errorCode: number
      readonly baseOffset: bigint
      readonly logAppendTimeMs: bigint
    }[]
  }[]
}

const PRODUCE = 0
const ALL_REPLICAS = -1

/** Topics with their batches, each at most one of a partition. */
function byTopic(batches: readonly EncodedBatch[]): [string, EncodedBatch[]][] {
  return [...Map.groupBy(batches, ({ topic }) => topic)]
}

/** From version 9 on. Source of both: https://kafka.apache.org/protocol#The_Messages_Produce */
function compact(...[batches, transactionalId, timeoutMs]: ProduceArguments): Writer {
  return Writer.create()
    .appendString(transactionalId)
    .appendInt16(ALL_REPLICAS)
    .appendInt32(timeoutMs)
    .appendArray(byTopic(batches), (topics, [topic, own]) => {
      topics.appendString(topic).appendArray(own, (writer, { partition, bytes }) => {
        writer
          .appendInt32(partition)
          .appendUnsignedVarInt(bytes.length + 1)
          .append(bytes)
      })
    })
    .appendTaggedFields()
}

/** Up to version 8. */
function plain(...[batches, transactionalId, timeoutMs]: ProduceArguments): Writer {
  return Writer.create()
    .appendString(transactionalId, false)
    .appendInt16(ALL_REPLICAS)
    .appendInt32(timeoutMs)
    .appendArray(
      byTopic(batches),
      (topics, [topic, own]) => {
        topics.appendString(topic, false).appendArray(
          own,
          (writer, { partition, bytes }) => {
            writer.appendInt32(partition).appendInt32(bytes.length).append(bytes)
          },
          false,
          false,
        )
      },
      false,
      false,
    )
}

interface ProduceVersion {
  readonly key: number
  readonly version: number
  readonly async: (connection: Connection, ...args: ProduceArguments) => Promise<ProduceAnswer>
}

function flexible(version: number, parse: typeof produceV11.parseResponse): ProduceVersion {
  return createAPI<ProduceArguments, ProduceAnswer>(PRODUCE, version, compact, parse)
}

function inflexible(version: number, parse: typeof produceV8.parseResponse): ProduceVersion {
  return createAPI<ProduceArguments, ProduceAnswer>(PRODUCE, version, plain, parse, false, false)
}

/** The request that stores batches, by its versions, the highest first. All replicas acknowledge; the batches are encoded already. */
export const PRODUCE_VERSIONS: readonly [ProduceVersion, ...ProduceVersion[]] = [
  flexible(11, produceV11.parseResponse),
  flexible(9, produceV9.parseResponse),
  inflexible(8, produceV8.parseResponse),
  inflexible(7, produceV7.parseResponse),
]
