import { type RangeBroker, type ReadRange, readRanges } from '../../control/read-range.ts'
import { LogInFront } from '../../domain/log-in-front.ts'
import { lowest } from '../../domain/lowest.ts'
import { admit, emptyMemory, type ReaderMemory } from '../../domain/reader-rules.ts'
import { partitionKey } from '../../domain/record.ts'
import { toTapelineError } from '../../errors.ts'
import type {
  Broker,
  StoredRecord,
  TopicDescription,
  TopicPartition,
  UndecodableBatch,
} from '../../ports/broker.ts'
import type { Claim } from '../../ports/store.ts'

/** So many records in front of a position are looked at first; where they are all of later owners, ten times as many, and so on. */
const FIRST_LOOK = 200
const LAST_LOOK = 2_000_000

/** So many records in front of a place tell which epochs count there. */
const EPOCH_SLACK = 2_000

/**
 * The partitions whose logs have lost their ends, also those that have grown beyond what is stored of them since, each with the offset from which they are to be read again (R8).
 */
export async function findLostEnds(
  broker: Broker,
  claims: readonly Claim[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, number>> {
  const found = new Map<string, number>()
  const stored = claims.filter(({ nextOffset }) => nextOffset > 0)
  if (stored.length === 0) return found
  // Asked for after the claims: nobody else stores anything from then on, so that an end in front of a position is a loss.
  const topics = new Map<string, TopicDescription>()
  for (const topic of await broker.describeTopics([...new Set(stored.map(({ topic }) => topic))], signal))
    topics.set(topic.id, topic)
  const bounds = ({ topicId, partition, nextOffset }: Claim) =>
    topics.get(topicId)?.offsets[partition] ?? { earliest: 0, end: nextOffset }
  /** Where the log is read no further. */
  const endOf = (claim: Claim): number => Math.min(claim.nextOffset, bounds(claim).end)
  let open = stored.filter((claim) => {
    const { earliest, end } = bounds(claim)
    if (end < claim.nextOffset) found.set(partitionKey(claim), end)
    return earliest < endOf(claim)
  })
  for (let look = FIRST_LOOK; open.length > 0 && look <= LAST_LOOK; look *= 10) {
    const ranges = open.map((claim) => ({
      claim,
      end: endOf(claim),
      offset: Math.max(0, endOf(claim) - look),
    }))
    const looks = await lookBack(broker, ranges, signal)
    open = open.filter((claim) => {
      const key = partitionKey(claim)
      const inFront = looks.get(key)
      if (inFront === undefined) return false
      const { earliest } = bounds(claim)
      const isLast = look * 10 > LAST_LOOK
      const { isOpen, unmarkedFrom } = inFront.judge({ from: endOf(claim) - look, earliest, isLast })
      const wentOn = lowest(found.get(key), inFront.wentOn, unmarkedFrom)
      if (wentOn !== undefined) found.set(key, wentOn)
      return isOpen
    })
  }
  return found
}

async function lookBack(
  broker: Broker,
  places: readonly { readonly claim: Claim; readonly offset: number; readonly end: number }[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, LogInFront>> {
  const looks = new Map(
    places.flatMap(({ claim }) => {
      const { memory, partition, nextOffset: position } = claim
      const last = memory.epochs[partition]
      // Where no owner of what is stored is known, none of those in front of it is a later one.
      if (last === undefined) return []
      return [[partitionKey(claim), new LogInFront({ last, position, heardTo: memory.overwrittenBy ?? -1 })]]
    }),
  )
  await readQuietly(
    broker,
    places.map(({ claim: { topic, partition }, offset, end }) => ({ topic, partition, offset, end })),
    (fetch) => {
      const look = looks.get(partitionKey(fetch))
      for (const record of fetch.records) look?.take(record)
    },
    signal,
    (batch) => looks.get(partitionKey(batch))?.rot(),
  )
  return looks
}

/** The highest epochs in front of where partitions are read again, by partition and shard: what was remembered of a lost end counts no more. */
export async function epochsBefore(
  broker: RangeBroker,
  places: readonly (TopicPartition & { readonly earliest: number })[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, ReaderMemory['epochs']>> {
  const memories = new Map(places.map((place) => [partitionKey(place), emptyMemory()]))
  const ranges = places.map(({ topic, partition, earliest: end }) => ({
    ...{ topic, partition, end },
    offset: Math.max(0, end - EPOCH_SLACK),
  }))
  const take = (fetch: TopicPartition & { readonly records: readonly StoredRecord[] }): void => {
    const memory = memories.get(partitionKey(fetch))
    if (memory) for (const { headers } of fetch.records) admit(memory, headers)
  }
  await readQuietly(broker, ranges, take, signal)
  return new Map([...memories].map(([key, { epochs }]) => [key, epochs]))
}

/** Reads ranges; a topic that is gone is told when it is read. */
async function readQuietly(
  broker: RangeBroker,
  ranges: readonly ReadRange[],
  handle: Parameters<typeof readRanges>[2],
  signal: AbortSignal,
  onUndecodable?: (batch: UndecodableBatch) => void,
): Promise<void> {
  try {
    await readRanges(broker, ranges, handle, signal, undefined, onUndecodable)
  } catch (error) {
    if (toTapelineError(error).code !== 'TOPIC_UNKNOWN') throw error
  }
}
