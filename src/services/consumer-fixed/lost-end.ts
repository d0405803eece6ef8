import { type ReadRange, readRanges } from '../../control/read-range.ts'
import { lostFromOf } from '../../domain/fixed-markers.ts'
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

/** What the records that were looked at tell of where a partition went on. */
interface Look {
  /** The first of a later owner than any that was stored, or where its marker says that the log went on. */
  from: number | undefined
  /** Whether one of the last owner that was stored lies in front of it. */
  isKnown: boolean
  /** The first of the last owner in front of that one. */
  former: { readonly epoch: number; readonly offset: number } | undefined
  isRotten: boolean
}

/**
 * The partitions whose logs have lost their ends and have grown beyond what is stored of them, each with the offset from which they are to be read again (R8). Who
 * reads on from the position would miss what lies between. Two things tell:
 * - In front of the position lie records of an owner that is later than all whose records were stored: the log went on there.
 * - None lies there of the last owner that was stored. Its marker was lost too, and a former owner, which knows of neither, has written in its place. Where
 *   the log went on nothing tells then, but not in front of what that former owner wrote first.
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
      const { from, isKnown, former, isRotten } = looks.get(key) ?? NOTHING
      if (from !== undefined) found.set(key, from)
      const { earliest } = bounds(claim)
      const isWhole = endOf(claim) - look <= earliest
      if (isKnown || (isWhole && (earliest > 0 || isRotten))) return false
      const isLast = isWhole || look * 10 > LAST_LOOK
      // Retention, or a batch that nobody can read, may hide the marker: then its lack proves nothing.
      if (isLast && former && !isRotten)
        found.set(key, Math.min(former.offset, found.get(key) ?? former.offset))
      return !isLast
    })
  }
  return found
}

const NOTHING: Look = { from: undefined, isKnown: true, former: undefined, isRotten: false }

async function lookBack(
  broker: Broker,
  places: readonly { readonly claim: Claim; readonly offset: number; readonly end: number }[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Look>> {
  const byKey = new Map(
    places.map(({ claim }) => {
      const { memory, partition } = claim
      const stored = memory.epochs[partition]
      // Of a topic without owners nothing tells.
      return [partitionKey(claim), { stored, look: { ...NOTHING, isKnown: stored === undefined } }]
    }),
  )
  const take = (look: Look, stored: number, record: StoredRecord): void => {
    const { epoch = -1 } = record.headers
    if (epoch < 0) return
    if (epoch > stored) look.from = Math.min(look.from ?? record.offset, lostFromOf(record) ?? record.offset)
    else if (epoch === stored) look.isKnown ||= look.from === undefined
    else if (epoch > (look.former?.epoch ?? -1)) look.former = { epoch, offset: record.offset }
  }
  await readQuietly(
    broker,
    places.map(({ claim: { topic, partition }, offset, end }) => ({ topic, partition, offset, end })),
    (fetch) => {
      const { stored, look } = byKey.get(partitionKey(fetch)) ?? {}
      if (look && stored !== undefined) for (const record of fetch.records) take(look, stored, record)
    },
    signal,
    (batch) => {
      const { look } = byKey.get(partitionKey(batch)) ?? {}
      if (look) look.isRotten = true
    },
  )
  return new Map([...byKey].map(([key, { look }]) => [key, look]))
}

/** The highest epochs in front of where partitions are read again, by partition and shard: what was remembered of a lost end counts no more. */
export async function epochsBefore(
  broker: Pick<Broker, 'openReader'>,
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
  broker: Pick<Broker, 'openReader'>,
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
