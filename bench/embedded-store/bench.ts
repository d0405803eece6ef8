import { join } from 'node:path'
import { TupleWriter } from '../../src/adapters/store/copy-binary.ts'
import { openEmbeddedStore } from '../../src/adapters/store/embedded.ts'
import type { Trade } from '../../src/domain/events.ts'
import { emptyMemory } from '../../src/domain/reader-rules.ts'
import { TABLES } from '../../src/domain/rows.ts'
import type { Claim, Store } from '../../src/ports/store.ts'
import { createLog } from '../../src/telemetry/log.ts'
import { BaselineThread } from '../baseline-thread.ts'
import { type Bench, describe, type Measurement, measure } from '../bench.ts'
import { inTemporaryFolder } from '../temporary-folder.ts'
import { batchesOf, makeTrades } from '../trades.ts'

/** It is asked to insert one array literal for each column. */
type Baseline = BaselineThread<readonly string[], unknown>

const BATCHES = [5_000, 20_000]
const ROUNDS = 3
const RECORDS = 100_000
const signal = AbortSignal.timeout(600_000)

export const bench: Bench = {
  summary: 'fenced binary COPY against INSERT ... select from unnest in the same engine, same batches',
  async run({ records: count = RECORDS }, print) {
    await inTemporaryFolder(async (folder) => {
      const log = createLog({ level: 'warn', pretty: false })
      const store = await openEmbeddedStore({ folder: join(folder, 'store'), log })
      await store.migrate(signal)
      const script = new URL('./unnest.ts', import.meta.url)
      const baseline: Baseline = await BaselineThread.start(script, folder)
      try {
        for (const batch of BATCHES) print(await compare(store, baseline, batch, makeTrades(count)))
      } finally {
        await store.close()
        await baseline.close()
      }
    })
  },
}

async function compare(
  store: Store,
  baseline: Baseline,
  batch: number,
  trades: readonly Trade[],
): Promise<string> {
  const batches = batchesOf(trades, batch)
  const subject: Measurement[] = []
  const against: Measurement[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const topic = `bench.${batch}.${round}`
    const [claim] = await store.claim([{ topic, topicId: topic, partition: 0 }], signal)
    if (claim === undefined) throw new Error('the store gave no claim')
    subject.push(await measure(trades.length, () => writeAll(store, claim, batches)))
    against.push(await measure(trades.length, () => insertAll(baseline, batches)))
  }
  return describe({ name: `write, batches of ${batch}`, unit: 'rows', subject, baseline: against })
}

async function writeAll(store: Store, first: Claim, batches: readonly (readonly Trade[])[]): Promise<void> {
  let claim: Claim | undefined = first
  for (const batch of batches) {
    if (claim === undefined) throw new Error('the store gave no claim')
    const writer = new TupleWriter()
    for (const trade of batch) TABLES.trade.write(writer, trade)
    const segment = {
      channel: 'trade',
      tuples: writer.finish(),
      rows: writer.rows,
      reentering: false,
    } as const
    const newOffset: number = claim.nextOffset + batch.length
    const [next]: readonly Claim[] = await store.write(
      [{ claim, newOffset, memory: emptyMemory(), segments: [segment] }],
      signal,
    )
    claim = next
  }
}

async function insertAll(baseline: Baseline, batches: readonly (readonly Trade[])[]): Promise<void> {
  for (const batch of batches) {
    await baseline.ask([
      array(batch, (trade) => trade.exchange),
      array(batch, (trade) => trade.symbol),
      array(batch, (trade) => trade.id),
      array(batch, (trade) => trade.side),
      array(batch, (trade) => trade.price),
      array(batch, (trade) => trade.size),
      array(batch, (trade) => trade.ts),
      array(batch, (trade) => trade.recvTs),
    ])
  }
}

/** A literal of the benchmark's own values, none of which needs quotes. */
function array(trades: readonly Trade[], column: (trade: Trade) => string | number): string {
  return `{${trades.map(column).join()}}`
}
