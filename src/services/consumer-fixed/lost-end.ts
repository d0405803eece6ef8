import { readRanges } from '../../control/read-range.ts'
import { lostFromOf } from '../../domain/fixed-markers.ts'
import { partitionKey } from '../../domain/record.ts'
import { toTapelineError } from '../../errors.ts'
import type { Broker, StoredRecord, TopicDescription } from '../../ports/broker.ts'
import type { Claim } from '../../ports/store.ts'

/** So many records in front of a position are looked at first; where they are all of later owners, ten times as many, and so on. */
const FIRST_LOOK = 200
const LAST_LOOK = 2_000_000

/** Where a partition went on, as far as the records that were looked at tell. */
interface Look {
  /** The first of a later owner than any that was stored. */
  from: number | undefined
  /** Whether there is one of an owner that was stored in front of it. */
  isWhole: boolean
}

/**
 * The partitions whose logs have lost their ends and have grown beyond what is stored of them, each with the offset at which it went on: in front
 * of the position lie records of an owner that is later than all whose records were stored. Who reads on from the position would miss them (R8).
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
  const bounds = ({ topicId, partition }: Claim) => topics.get(topicId)?.offsets[partition]
  let open = stored.filter((claim) => {
    const { earliest, end } = bounds(claim) ?? { earliest: 0, end: claim.nextOffset }
    if (end < claim.nextOffset) found.set(partitionKey(claim), end)
    return earliest < claim.nextOffset && claim.nextOffset <= end
  })
  for (let look = FIRST_LOOK; open.length > 0 && look <= LAST_LOOK; look *= 10) {
    const looks = await lookBack(broker, open, look, signal)
    open = open.filter((claim) => {
      const { from, isWhole } = looks.get(partitionKey(claim)) ?? { from: undefined, isWhole: true }
      if (from === undefined) return false
      found.set(partitionKey(claim), from)
      return !isWhole && claim.nextOffset - look > (bounds(claim)?.earliest ?? 0)
    })
  }
  return found
}

async function lookBack(
  broker: Broker,
  claims: readonly Claim[],
  records: number,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Look>> {
  const looks = new Map<string, Look>()
  const byKey = new Map(claims.map((claim) => [partitionKey(claim), claim]))
  const take = ({ memory }: Claim, look: Look, record: StoredRecord): void => {
    const { shard = -1, epoch = -1 } = record.headers
    const stored = memory.epochs[shard]
    if (stored === undefined || epoch < 0) return
    if (epoch <= stored) look.isWhole ||= look.from === undefined
    else look.from = Math.min(look.from ?? record.offset, lostFromOf(record) ?? record.offset)
  }
  const ranges = claims.map(({ topic, partition, nextOffset }) => ({
    ...{ topic, partition, end: nextOffset },
    offset: Math.max(0, nextOffset - records),
  }))
  try {
    await readRanges(
      broker,
      ranges,
      (fetch) => {
        const key = partitionKey(fetch)
        const claim = byKey.get(key)
        const look = looks.get(key) ?? { from: undefined, isWhole: false }
        looks.set(key, look)
        if (claim !== undefined) for (const record of fetch.records) take(claim, look, record)
      },
      signal,
    )
  } catch (error) {
    // One that is gone is told when it is read.
    if (toTapelineError(error).code !== 'TOPIC_UNKNOWN') throw error
  }
  return looks
}
