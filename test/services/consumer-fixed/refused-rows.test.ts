import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openEmbeddedBroker } from '../../../src/adapters/broker/embedded.ts'
import { TupleMemory } from '../../../src/adapters/store/tuple-memory.ts'
import { ensureTopics } from '../../../src/control/topics.ts'
import { encodeEvent } from '../../../src/domain/event-codec.ts'
import type { Trade } from '../../../src/domain/events.ts'
import { emptyMemory } from '../../../src/domain/reader-rules.ts'
import { TapelineError } from '../../../src/errors.ts'
import type { Claim, PartitionWrite, Store } from '../../../src/ports/store.ts'
import { createConsumerFixedServices } from '../../../src/services/consumer-fixed/consumer-fixed.ts'
import { NAMES } from '../../names.ts'
import { quietLog, quietMeter } from '../../quiet.ts'
import { always } from './consumers.ts'

const NEVER = new AbortController().signal
const TOPICS = NAMES.fixed

const trade = (n: number, id: string): Trade => ({
  exchange: 'x',
  symbol: 'A-B',
  id,
  side: 'buy',
  price: 1,
  size: 1,
  ts: 1_000 + n,
  recvTs: 1_000 + n,
})

/** A database of one partition that refuses rows with certain ids; it keeps the bytes of the rows that it takes. */
class StrictStore implements Pick<Store, 'lanes' | 'chunkMicros' | 'rowMemory' | 'claim' | 'write'> {
  readonly lanes = 1
  readonly rowMemory = () => new TupleMemory()
  readonly chunkMicros = 3_600_000_000
  readonly rows: Buffer[] = []
  nextOffset = 0
  writes = 0
  #fence = 0

  constructor(refused: readonly string[]) {
    this.#refused = refused
  }
  readonly #refused: readonly string[]

  async claim(targets: Parameters<Store['claim']>[0]): Promise<Claim[]> {
    this.#fence++
    return targets.map((target) => ({
      ...target,
      fence: this.#fence,
      nextOffset: target.topic === TOPICS.trade ? this.nextOffset : 0,
      memory: emptyMemory(),
    }))
  }

  async write(writes: readonly PartitionWrite[]): Promise<Claim[]> {
    this.writes++
    const trades = writes.filter(({ claim }) => claim.topic === TOPICS.trade)
    const bytes = trades.flatMap(({ segments }) => segments.map(({ tuples }) => Buffer.from(tuples)))
    const id = this.#refused.find((each) => bytes.some((row) => row.includes(each)))
    if (id !== undefined) throw new TapelineError('EVENT_INVALID', `the table refuses ${id}`)
    for (const { claim, newOffset } of trades) {
      assert.equal(claim.fence, this.#fence, 'the claim is the last one')
      assert.equal(claim.nextOffset, this.nextOffset, 'it writes from where the database stands')
      assert.ok(newOffset > this.nextOffset, 'and never back')
      this.nextOffset = newOffset
    }
    this.rows.push(...bytes)
    return writes.map(({ claim, newOffset, memory }) => ({ ...claim, nextOffset: newOffset, memory }))
  }
}

/** The consumer's services on a log of numbered trades, some of which the database refuses. */
async function consumer(t: TestContext, ids: readonly string[], refused: readonly string[]) {
  const broker = await openEmbeddedBroker({ folder: ':memory:' })
  t.after(() => broker.close())
  const settings = { names: NAMES, partitions: 1, retentionMs: 1e9, deadLetterRetentionMs: 1e9 }
  await ensureTopics(broker, settings, NEVER)
  const records = ids.map((id, n) => ({
    key: 'x:A-B',
    value: encodeEvent(trade(n, id)),
    headers: { v: 1, kind: 'event' as const, shard: 0, epoch: 1 },
  }))
  await broker.publish([{ topic: TOPICS.trade, partition: 0, records }], NEVER)
  const store = new StrictStore(refused)
  const { book: _notStored, ...topics } = TOPICS
  const parts = { broker, topics, maxRecords: 1_000, lingerMs: 0, nowMicros: () => 0, raiseAlert: () => {} }
  const duringBroker = always
  const services = await createConsumerFixedServices(
    {
      names: NAMES,
      ...parts,
      duringBroker,
      store: store as Pick<Store, 'lanes' | 'chunkMicros' | 'rowMemory' | 'claim' | 'write'> as Store,
      log: quietLog,
      meter: quietMeter,
    },
    NEVER,
  )
  t.after(() => services.close(NEVER))
  const cycle = async (): Promise<void> => {
    const message = await services.receiveMessage(NEVER)
    await services.writeToDB(await services.processMessage(message, NEVER), NEVER)
  }
  const deadLetters = async (): Promise<{ offset: number; code: string }[]> => {
    const reader = await broker.openReader(AbortSignal.timeout(30_000))
    await reader.assign([{ topic: NAMES.deadLetters, partition: 0, offset: 0 }], AbortSignal.timeout(30_000))
    const fetches = await reader.poll({ maxRecords: 1_000, waitMs: 0 }, NEVER)
    await reader.close(AbortSignal.timeout(30_000))
    return fetches
      .flatMap((fetch) => (fetch.kind === 'records' ? fetch.records : []))
      .map(({ value }) => JSON.parse(Buffer.from(value ?? []).toString()) as { offset: number; code: string })
  }
  return { store, services, cycle, deadLetters }
}

const numbered = Array.from({ length: 100 }, (_, n) => `<${n}>`)

test('a row that only the database refuses becomes a dead letter, and all others are stored once', async (t) => {
  const refused = ['<0>', '<41>', '<42>', '<99>']
  const { store, cycle, deadLetters } = await consumer(t, numbered, refused)
  await cycle()
  const stored = Buffer.concat(store.rows).toString('latin1')
  for (const id of numbered) {
    assert.equal(stored.split(id).length - 1, refused.includes(id) ? 0 : 1, `${id} is stored as often`)
  }
  assert.equal(store.nextOffset, 100)
  const letters = await deadLetters()
  assert.deepEqual(
    letters.map(({ offset, code }) => [offset, code]),
    [
      [0, 'EVENT_INVALID'],
      [41, 'EVENT_INVALID'],
      [42, 'EVENT_INVALID'],
      [99, 'EVENT_INVALID'],
    ],
  )
  assert.ok(store.writes < 80, `it halves what is refused: ${store.writes} writes`)
})

test('a database that stands in the middle of a batch is followed from there', async (t) => {
  const { store, services, cycle } = await consumer(t, numbered, [])
  const record = await services.processMessage(await services.receiveMessage(NEVER), NEVER)
  const write = store.write.bind(store)
  store.write = async () => {
    store.write = write
    store.nextOffset = 30
    throw new TapelineError('STORE_UNAVAILABLE', 'the connection broke')
  }
  await assert.rejects(services.writeToDB(record, NEVER), { code: 'STORE_UNAVAILABLE' })
  await services.writeToDB(record, NEVER)
  await cycle()
  assert.equal(store.nextOffset, 100)
  const stored = Buffer.concat(store.rows).toString('latin1')
  for (const [n, id] of numbered.entries()) {
    assert.equal(stored.split(id).length - 1, n < 30 ? 0 : 1, `${id} is stored as often`)
  }
})

test('what is too much for one transaction is stored in smaller parts, and a single record is tried again', async (t) => {
  const { store, cycle, deadLetters } = await consumer(t, numbered, [])
  const write = store.write.bind(store)
  const most = 10
  store.write = async (writes) => {
    const records = writes.reduce((sum, { claim, newOffset }) => sum + newOffset - claim.nextOffset, 0)
    if (records > most)
      throw new TapelineError('STORE_WRITE_TOO_LARGE', `${records} records are more than ${most}`)
    return write(writes)
  }
  await cycle()
  assert.equal(store.nextOffset, 100)
  const stored = Buffer.concat(store.rows).toString('latin1')
  for (const id of numbered) assert.equal(stored.split(id).length - 1, 1, `${id} is stored once`)
  assert.deepEqual(await deadLetters(), [], 'no record is at fault')

  const again = await consumer(t, ['<only>'], [])
  again.store.write = async () => {
    throw new TapelineError('STORE_WRITE_TOO_LARGE', 'not even one')
  }
  const record = await again.services.processMessage(await again.services.receiveMessage(NEVER), NEVER)
  await assert.rejects(again.services.writeToDB(record, NEVER), { code: 'STORE_WRITE_TOO_LARGE' })
  assert.deepEqual(await again.deadLetters(), [], 'the machine goes on trying')
})
