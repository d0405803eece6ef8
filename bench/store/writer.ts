import { TupleWriter } from '../../src/adapters/store/copy-binary.ts'
import { emptyMemory } from '../../src/domain/reader-rules.ts'
import { TABLES } from '../../src/domain/rows.ts'
import type { Claim, RowSegment, Store } from '../../src/ports/store.ts'
import { type Measurement, measure } from '../bench.ts'
import { makeBatches } from '../trades.ts'

const signal = AbortSignal.timeout(3_600_000)

/** So many trades as the fixed consumer hands them to the store: encoded, in batches of at most `size`. */
export function encodeBatches(count: number, size: number): RowSegment[] {
  return Array.from(makeBatches(count, size), (batch) => {
    const writer = new TupleWriter()
    for (const trade of batch) TABLES.trade.write(writer, trade)
    return { channel: 'trade', tuples: writer.finish(), rows: writer.rows, reentering: false }
  })
}

/** Writes the batches on all lanes of the store, one partition a lane, each batch in a fenced transaction with its offset. */
export async function writeAlone(store: Store, batches: readonly RowSegment[]): Promise<Measurement> {
  const targets = Array.from({ length: store.lanes }, (_, partition) => ({
    topic: 'bench.trades',
    topicId: 'bench.trades',
    partition,
  }))
  const claims = await store.claim(targets, signal)
  const rows = batches.reduce((sum, batch) => sum + batch.rows, 0)
  const shareOf = (lane: number) => batches.filter((_, i) => i % claims.length === lane)
  return measure(rows, async () => {
    await Promise.all(claims.map((claim, lane) => writeLane(store, claim, shareOf(lane))))
  })
}

async function writeLane(store: Store, first: Claim, batches: readonly RowSegment[]): Promise<void> {
  let claim: Claim | undefined = first
  for (const segment of batches) {
    if (claim === undefined) throw new Error('the store gave no claim')
    const newOffset: number = claim.nextOffset + segment.rows
    const write = { claim, newOffset, memory: emptyMemory(), segments: [segment] }
    const [next]: readonly Claim[] = await store.write([write], signal)
    claim = next
  }
}
