import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openEmbeddedBroker } from '../../../src/adapters/broker/embedded.ts'
import { TupleMemory } from '../../../src/adapters/store/tuple-memory.ts'
import { ensureTopics } from '../../../src/control/topics.ts'
import { encodeEvent } from '../../../src/domain/event-codec.ts'
import { emptyMemory } from '../../../src/domain/reader-rules.ts'
import { TapelineError } from '../../../src/errors.ts'
import type { Claim, PartitionWrite, Store } from '../../../src/ports/store.ts'
import { MOST_CHUNKS } from '../../../src/services/consumer-fixed/chunk-spread.ts'
import { createConsumerFixedServices } from '../../../src/services/consumer-fixed/consumer-fixed.ts'
import { seededRandom } from '../../../src/simulator/random.ts'
import { NAMES } from '../../names.ts'
import { quietLog, quietMeter } from '../../quiet.ts'
import { SEED } from '../../seed.ts'
import { always } from './consumers.ts'

const NEVER = new AbortController().signal
const { book: _notStored, ...topics } = NAMES.fixed
const HOUR = 3_600_000_000
const START = Date.UTC(2016, 0, 1) * 1000

/** A trade some hours after the start of 2016. */
interface Placed {
  readonly id: string
  readonly hour: number
  readonly reentering?: true
}

interface StoredRow {
  readonly id: string
  readonly chunk: number
  readonly reentering: boolean
}

/** A database of one partition, by transactions, that looks at the chunks which each would touch. */
class ChunkedStore implements Pick<Store, 'lanes' | 'chunkMicros' | 'rowMemory' | 'claim' | 'write'> {
  readonly lanes = 1
  readonly rowMemory = () => new TupleMemory()
  readonly chunkMicros = HOUR
  readonly transactions: (readonly StoredRow[])[] = []
  nextOffset = 0
  memory = emptyMemory()
  /** Called in front of each transaction; may throw. */
  before = (): void => {}
  #fence = 0

  async claim(targets: Parameters<Store['claim']>[0]): Promise<Claim[]> {
    this.#fence++
    return targets.map((target) => ({
      ...target,
      fence: this.#fence,
      ...(target.topic === topics.trade
        ? { nextOffset: this.nextOffset, memory: this.memory }
        : { nextOffset: 0, memory: emptyMemory() }),
    }))
  }

  async write(writes: readonly PartitionWrite[]): Promise<Claim[]> {
    this.before()
    const trades = writes.filter(({ claim }) => claim.topic === topics.trade)
    for (const { claim, newOffset, memory } of trades) {
      assert.equal(claim.fence, this.#fence)
      assert.equal(claim.nextOffset, this.nextOffset, 'it writes from where the database stands')
      this.nextOffset = newOffset
      this.memory = memory
    }
    const rows = trades.flatMap(({ segments }) =>
      segments.flatMap(({ tuples, rows: count, reentering }) => {
        const found = [...rowsIn(tuples, reentering)]
        assert.equal(found.length, count)
        return found
      }),
    )
    if (rows.length > 0) this.transactions.push(rows)
    return writes.map(({ claim, newOffset, memory }) => ({ ...claim, nextOffset: newOffset, memory }))
  }

  get ids(): string[] {
    return this.transactions.flat().map(({ id }) => id)
  }
}

function* rowsIn(tuples: Uint8Array, reentering: boolean): Generator<StoredRow> {
  const bytes = Buffer.from(tuples)
  for (let at = 0; at < bytes.length; ) {
    at += 2
    const fields = Array.from({ length: 8 }, () => {
      const length = bytes.readInt32BE(at)
      const field = bytes.subarray(at + 4, at + 4 + length)
      at += 4 + length
      return field
    })
    const micros = Number(fields[6]?.readBigInt64BE() ?? 0n) + 946_684_800_000_000
    yield { id: fields[2]?.toString() ?? '', chunk: Math.floor(micros / HOUR), reentering }
  }
}

/** How many chunks a transaction locks: those of its rows, and all between the first and the last that enters again. */
function chunksOf(rows: readonly StoredRow[]): number {
  const direct = new Set(rows.filter(({ reentering }) => !reentering).map(({ chunk }) => chunk))
  const again = rows.filter(({ reentering }) => reentering).map(({ chunk }) => chunk)
  return direct.size + (again.length === 0 ? 0 : Math.max(...again) - Math.min(...again) + 1)
}

async function consumer(t: TestContext, placed: readonly Placed[]) {
  const broker = await openEmbeddedBroker({ folder: ':memory:' })
  t.after(() => broker.close())
  const settings = { names: NAMES, partitions: 1, retentionMs: 1e9, deadLetterRetentionMs: 1e9 }
  await ensureTopics(broker, settings, NEVER)
  const records = placed.map(({ id, hour, reentering }) => {
    const ts = START + Math.floor(hour * HOUR)
    const value = encodeEvent({
      ...{ exchange: 'x', symbol: 'A-B', id, side: 'buy' as const, price: 1, size: 1, ts, recvTs: ts },
    })
    const headers = { v: 1, kind: 'event' as const, shard: 0, epoch: 1, ...(reentering && { reentering }) }
    return { key: 'x:A-B', value, headers }
  })
  await broker.publish([{ topic: topics.trade, partition: 0, records }], NEVER)
  const store = new ChunkedStore()
  const services = await createConsumerFixedServices(
    {
      ...{ broker, names: NAMES, topics, maxRecords: 10_000, lingerMs: 0, nowMicros: () => 0 },
      ...{ raiseAlert: () => {}, duringBroker: always, log: quietLog, meter: quietMeter },
      store: store as Pick<Store, 'lanes' | 'chunkMicros' | 'rowMemory' | 'claim' | 'write'> as Store,
    },
    NEVER,
  )
  t.after(() => services.close(NEVER))
  /** Stores all that is there; a write that fails is tried again, as the machine does. */
  const storeAll = async (): Promise<void> => {
    while (store.nextOffset < placed.length) {
      const record = await services.processMessage(await services.receiveMessage(NEVER), NEVER)
      for (;;) {
        try {
          await services.writeToDB(record, NEVER)
          break
        } catch (error) {
          assert.ok(error instanceof TapelineError && error.code === 'STORE_UNAVAILABLE', String(error))
        }
      }
    }
  }
  return { store, storeAll }
}

test('a batch of rows of the same time is one transaction', async (t) => {
  const placed = Array.from({ length: 5_000 }, (_, i) => ({ id: `<${i}>`, hour: i / 4_000 }))
  const { store, storeAll } = await consumer(t, placed)
  await storeAll()
  assert.deepEqual(
    store.transactions.map((rows) => rows.length),
    [5_000],
  )
})

test('a batch of years is stored in order, in transactions of a bounded number of chunks', async (t) => {
  const placed = Array.from({ length: 5_000 }, (_, i) => ({ id: `<${i}>`, hour: 17 * i }))
  const { store, storeAll } = await consumer(t, placed)
  await storeAll()
  assert.deepEqual(
    store.ids,
    placed.map(({ id }) => id),
  )
  assert.equal(store.transactions.length, Math.ceil(5_000 / MOST_CHUNKS))
  for (const rows of store.transactions) assert.ok(chunksOf(rows) <= MOST_CHUNKS, `${chunksOf(rows)}`)
})

test(`so are rows of any times, some of which enter again, while transactions fail (seed ${SEED})`, async (t) => {
  const random = seededRandom(String(SEED))
  let hour = 0
  const placed = Array.from({ length: 3_000 }, (_, i): Placed => {
    if (random() < 0.3)
      hour = random() < 0.05 ? Math.floor(random() * 90_000) : hour + Math.floor(random() * 20)
    return { id: `<${i}>`, hour, ...(random() < 0.2 && { reentering: true as const }) }
  })
  const { store, storeAll } = await consumer(t, placed)
  store.before = () => {
    if (random() < 0.2) throw new TapelineError('STORE_UNAVAILABLE', 'the connection broke')
  }
  await storeAll()
  assert.deepEqual(store.ids.toSorted(), placed.map(({ id }) => id).toSorted(), 'each row once')
  assert.ok(store.transactions.length > 5)
  for (const rows of store.transactions) assert.ok(chunksOf(rows) <= MOST_CHUNKS, `${chunksOf(rows)}`)
})
