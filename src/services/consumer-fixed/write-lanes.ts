import { type TapelineError, toTapelineError } from '../../errors.ts'
import type { PartitionWrite, Store } from '../../ports/store.ts'
import { type AssignedPartition, partitionKey } from '../assignment.ts'
import type { Claims } from './claims.ts'
import { rowsOf } from './prepare.ts'
import { isForParts } from './store-in-parts.ts'

/** A partition that was not written, since the database refuses a row that was to go with it, or so many rows at once. */
interface Refused extends AssignedPartition {
  readonly error: TapelineError
}

/**
 * Writes partitions over the lanes of the store, each lane one transaction with an outcome of its own: what a lane has
 * acknowledged is not written again when another one fails. Gives the partitions of a lane of which the database refuses a row, or
 * so many at once; of these nothing is written. Raises what a lane raised, once all lanes have ended.
 */
export async function writeInLanes(
  store: Pick<Store, 'lanes' | 'write'>,
  claims: Pick<Claims, 'advance' | 'doubt' | 'yieldTo'>,
  writes: readonly PartitionWrite[],
  signal: AbortSignal,
): Promise<readonly Refused[]> {
  const refused: Refused[] = []

  const writeLane = async (lane: readonly PartitionWrite[]): Promise<void> => {
    if (lane.length === 0) return
    try {
      claims.advance(await store.write(lane, signal))
    } catch (error) {
      const failure = toTapelineError(error, 'STORE_UNAVAILABLE')
      const partitions = lane.map(({ claim }) => claim)
      if (isForParts(failure)) {
        refused.push(...partitions.map(({ topic, partition }) => ({ topic, partition, error: failure })))
        return
      }
      const lost = new Set(failure.partitions.map(({ topic, partition }) => partitionKey(topic, partition)))
      if (failure.code !== 'FENCED' || lost.size === 0) {
        claims.doubt(partitions)
        throw failure
      }
      // Nothing was written: what is fenced leaves the batch, the rest goes on under the claims it has.
      claims.yieldTo(failure.partitions)
      await writeLane(lane.filter(({ claim }) => !lost.has(partitionKey(claim.topic, claim.partition))))
    }
  }

  const outcomes = await Promise.allSettled(spread(writes, store.lanes).map(writeLane))
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  return refused
}

/** Spreads partitions over lanes so that these have about as many rows each: the largest first, to the emptiest lane. */
function spread(writes: readonly PartitionWrite[], count: number): PartitionWrite[][] {
  const lanes = Array.from({ length: count }, () => ({ rows: 0, writes: [] as PartitionWrite[] }))
  for (const write of writes.toSorted((a, b) => rowsOf(b) - rowsOf(a))) {
    const emptiest = lanes.reduce((least, lane) => (lane.rows < least.rows ? lane : least))
    emptiest.rows += rowsOf(write) + 1
    emptiest.writes.push(write)
  }
  return lanes.map((lane) => lane.writes)
}
