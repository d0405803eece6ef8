import { withDeadline } from '../../async/deadline.ts'
import { partitionKey } from '../../domain/record.ts'
import { type TapelineError, toTapelineError } from '../../errors.ts'
import type { TopicPartition } from '../../ports/broker.ts'
import type { PreparedWrite, WriteSlice } from '../../ports/pipeline.ts'
import type { Claim, PartitionWrite, Store } from '../../ports/store.ts'
import { chunkCount, joinSpreads, MOST_CHUNKS, NO_CHUNKS } from './chunk-spread.ts'
import type { Claims } from './claims.ts'
import { rowsOf } from './prepare.ts'
import { isForHalves } from './store-in-halves.ts'

/** How long one transaction may take before its outcome counts as unknown. */
const WRITE_TIMEOUT_MS = 60_000

/** A partition that was not written: the database refuses a row of the transaction, or so many rows at once. */
interface Refused extends TopicPartition {
  readonly error: TapelineError
}

/**
 * Writes partitions over the lanes of the store, each lane by transactions of its own: when one lane fails, what another has written stays
 * written. A lane is one transaction; it is several where the rows lie in more chunks than one should touch. Gives the partitions of which the
 * database refuses a row, or so many rows at once: of these it has the first slices at most. Raises what a lane raised, once all lanes have ended.
 */
export async function writeInLanes(
  store: Pick<Store, 'lanes' | 'write'>,
  claims: Pick<Claims, 'advance' | 'doubt' | 'yieldTo'>,
  writes: readonly PreparedWrite[],
  signal: AbortSignal,
): Promise<readonly Refused[]> {
  const refused: Refused[] = []

  const writeLane = async (lane: readonly PreparedWrite[]): Promise<void> => {
    /** The claims of what is still to be written, and those that the database has moved on. */
    const open = new Map(lane.map(({ claim }) => [partitionKey(claim), claim]))
    const advanced = new Map<string, Claim>()
    const leave = (partitions: readonly TopicPartition[]): void => {
      for (const each of partitions) open.delete(partitionKey(each))
    }

    const writeOne = async (transaction: Transaction): Promise<void> => {
      const slices = transaction.flatMap(({ key, slice }): PartitionWrite[] => {
        const claim = open.get(key)
        return claim === undefined ? [] : [{ ...slice, claim }]
      })
      if (slices.length === 0) return
      try {
        const moved = await withDeadline(signal, WRITE_TIMEOUT_MS, (stop) => store.write(slices, stop))
        for (const claim of moved) {
          open.set(partitionKey(claim), claim)
          advanced.set(partitionKey(claim), claim)
        }
      } catch (error) {
        const failure = toTapelineError(error, 'STORE_UNAVAILABLE')
        const partitions = slices.map(({ claim }) => claim)
        if (isForHalves(failure)) {
          refused.push(...partitions.map(({ topic, partition }) => ({ topic, partition, error: failure })))
          leave(partitions)
          return
        }
        const lost = failure.partitions
        if (failure.code !== 'FENCED' || lost.length === 0) {
          claims.doubt(partitions)
          throw failure
        }
        // Nothing was written. What is fenced leaves the batch; the rest goes on under its claims.
        claims.yieldTo(lost)
        leave(lost)
        await writeOne(transaction)
      }
    }

    try {
      for (const transaction of transactionsOf(lane)) await writeOne(transaction)
    } finally {
      // Only now: what is read ahead follows the whole write of a partition, not a slice of it.
      claims.advance([...advanced.values()])
    }
  }

  const outcomes = await Promise.allSettled(spread(writes, store.lanes).map(writeLane))
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  return refused
}

/** Slices of several partitions that are written together. */
type Transaction = { readonly key: string; readonly slice: WriteSlice }[]

/** Puts slices together as long as they lie in few chunks: the first of each partition, then the second of each, and so on. */
function transactionsOf(lane: readonly PreparedWrite[]): Transaction[] {
  const transactions: Transaction[] = []
  const rounds = Math.max(0, ...lane.map(({ slices }) => slices.length))
  for (let round = 0; round < rounds; round++) {
    let chunks = NO_CHUNKS
    let current: Transaction | undefined
    for (const { claim, slices } of lane) {
      const slice = slices[round]
      if (slice === undefined) continue
      const key = partitionKey(claim)
      const joined = joinSpreads(chunks, slice.chunks)
      if (current !== undefined && chunkCount(joined) <= MOST_CHUNKS) {
        current.push({ key, slice })
        chunks = joined
      } else {
        current = [{ key, slice }]
        transactions.push(current)
        chunks = slice.chunks
      }
    }
  }
  return transactions
}

/** Spreads partitions over lanes of about equal rows: the largest first, each to the emptiest lane. */
function spread(writes: readonly PreparedWrite[], count: number): PreparedWrite[][] {
  const lanes = Array.from({ length: count }, () => ({ rows: 0, writes: [] as PreparedWrite[] }))
  for (const write of writes.toSorted((a, b) => rowsOf(b) - rowsOf(a))) {
    const emptiest = lanes.reduce((least, lane) => (lane.rows < least.rows ? lane : least))
    emptiest.rows += rowsOf(write) + 1
    emptiest.writes.push(write)
  }
  return lanes.map((lane) => lane.writes)
}
