import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TupleWriter } from '../../../src/adapters/store/copy-binary.ts'
import { TupleMemory } from '../../../src/adapters/store/tuple-memory.ts'
import { encodeEvent } from '../../../src/domain/event-codec.ts'
import type { Book } from '../../../src/domain/events.ts'
import { emptyMemory } from '../../../src/domain/reader-rules.ts'
import { TABLES } from '../../../src/domain/rows.ts'
import type { FixedFetch } from '../../../src/ports/pipeline.ts'
import type { Claim, PartitionWrite } from '../../../src/ports/store.ts'
import { prepareFetches } from '../../../src/services/consumer-fixed/prepare.ts'
import { quietLog } from '../../quiet.ts'
import { TOPICS, tradeRecord } from './consumers.ts'

const PLACE = { topic: TOPICS.trade, topicId: 'id', partition: 0 }

const { book: _notStored, ...STORED } = TOPICS
const PARTS = {
  topics: STORED,
  nowMicros: () => 1_000,
  raiseAlert() {},
  log: quietLog,
  memory: new TupleMemory(),
  chunkMicros: 3_600_000_000,
}

/** A log that may lose its end and grow again: each record is told apart by the life of its offset. */
class ShrinkingLog {
  readonly records: string[] = []
  #lives = 0

  grow(count: number): void {
    for (let i = 0; i < count; i++) this.records.push(`t${this.#lives++}`)
  }

  shrink(count: number): void {
    this.records.length = Math.max(0, this.records.length - count)
  }

  /** What a reader at an offset gets of at most so many records; undefined where there is nothing. */
  read(from: number, most: number): FixedFetch | undefined {
    const end = this.records.length
    if (from > end) return { kind: 'truncated', ...PLACE, position: from, earliest: end, from }
    const ids = this.records.slice(from, from + most)
    if (ids.length === 0) return undefined
    const records = ids.map((id, i) => ({ ...tradeRecord(0, id), offset: from + i, timestamp: 0 }))
    return { kind: 'records', ...PLACE, records, nextOffset: from + ids.length, endOffset: end, from }
  }
}

const rowsIn = ({ segments }: PartitionWrite): number => segments.reduce((sum, { rows }) => sum + rows, 0)

test('whatever a log loses and gets again, each write tells by its offset alone whether it was done, and goes back only where it says so', () => {
  const step = fc.oneof(
    fc.record({ grow: fc.integer({ min: 1, max: 5 }) }),
    fc.record({ shrink: fc.integer({ min: 1, max: 8 }) }),
    fc.record({ poll: fc.integer({ min: 1, max: 4 }) }),
    fc.constant('write' as const),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const log = new ShrinkingLog()
      let claim: Claim = { ...PLACE, fence: 1, nextOffset: 0, memory: emptyMemory() }
      let reading = 0
      let batch: FixedFetch[] = []
      const store = (): void => {
        const { writes, torn } = prepareFetches(batch, PARTS, () => claim)
        for (const { newOffset, memory, back = false, ...write } of writes) {
          assert.notEqual(newOffset, claim.nextOffset, 'an offset that stays says nothing')
          assert.equal(newOffset < claim.nextOffset, back)
          if (back) assert.equal(rowsIn({ ...write, newOffset, memory }), 1, 'a step back is the gap alone')
          claim = { ...claim, nextOffset: newOffset, memory }
        }
        // A batch that is done again under the claim that it left writes nothing.
        const again = prepareFetches(batch, PARTS, () => claim)
        assert.deepEqual(
          again.writes.filter(({ newOffset }) => newOffset !== claim.nextOffset && !again.torn.length),
          [],
        )
        batch = []
        if (torn.length > 0) reading = claim.nextOffset
      }
      const poll = (most: number): void => {
        const fetch = log.read(reading, most)
        if (fetch === undefined) return
        batch.push(fetch)
        reading = fetch.kind === 'truncated' ? fetch.earliest : fetch.nextOffset
      }
      for (const action of steps) {
        if (action === 'write') store()
        else if ('grow' in action) log.grow(action.grow)
        else if ('shrink' in action) log.shrink(action.shrink)
        else poll(action.poll)
      }
      // In the end everything is read and stored.
      for (let round = 0; round < 200 && claim.nextOffset !== log.records.length; round++) {
        poll(10)
        store()
      }
      assert.equal(claim.nextOffset, log.records.length)
    }),
    { numRuns: 300 },
  )
})

test('the first records of a topic that was made anew come with a gap, and are told', () => {
  const alerts: string[][] = []
  const parts = {
    ...PARTS,
    raiseAlert: (id: string, code: string, detail: string) => alerts.push([id, code, detail]),
  }
  const log = new ShrinkingLog()
  log.grow(3)
  const store = (claim: Claim): PartitionWrite | undefined => {
    const fetch = log.read(claim.nextOffset, 3)
    return prepareFetches(fetch ? [fetch] : [], parts, () => claim).writes[0]
  }
  const claim: Claim = { ...PLACE, fence: 1, nextOffset: 0, memory: emptyMemory(), formerOffset: 70 }
  const first = store(claim)
  assert.deepEqual(
    first?.segments.map(({ channel, rows }) => [channel, rows]),
    [
      ['status', 1],
      ['trade', 3],
    ],
  )
  assert.deepEqual(
    alerts.map(([id, code]) => [id, code]),
    [['replaced:market.trades:0', 'TOPIC_REPLACED']],
  )
  log.grow(2)
  const second = store({ ...claim, nextOffset: 3 })
  assert.deepEqual(
    second?.segments.map(({ channel, rows }) => [channel, rows]),
    [['trade', 2]],
    'once',
  )
})

test('of books the best levels of each snapshot, and each doubt, are rows; changes move the offset alone', () => {
  const common = { exchange: 'kraken', symbol: 'BTC-USD', ts: 1_000_000, recvTs: 1_000_001 }
  const levels = (side: 1 | -1): Book['bids'] => [1, 2, 3].map((n) => [100 - side * n, n])
  const whole: Book = { ...common, snapshot: true, bids: levels(1), asks: levels(-1), seq: 1 }
  const change: Book = { ...common, snapshot: false, bids: [[99, 5]], asks: [], seq: 2 }
  const doubt: Book = { ...change, bids: [], seq: 3, doubt: 'crossed' }
  const records = [whole, change, doubt, change, { ...whole, seq: 4 }, change].map((event, offset) => ({
    ...{ offset, timestamp: 0, key: null, value: encodeEvent(event) },
    headers: { v: 1, kind: 'event' as const, shard: 0, epoch: 1 },
  }))
  const place = { topic: TOPICS.book, topicId: 'id', partition: 0 }
  const { writes, rejected } = prepareFetches(
    [{ kind: 'records', ...place, records, nextOffset: 6, endOffset: 6, from: 0 }],
    { ...PARTS, topics: TOPICS, bookLevels: 2 },
    () => ({ ...place, fence: 1, nextOffset: 0, memory: emptyMemory() }),
  )
  assert.deepEqual(rejected, [])
  const [{ newOffset, segments } = { newOffset: 0, segments: [] }] = writes
  assert.equal(newOffset, 6)
  const to = new TupleWriter()
  for (const event of [whole, doubt, whole])
    TABLES.book.write(to, { ...event, bids: event.bids.slice(0, 2), asks: event.asks.slice(0, 2) })
  assert.deepEqual(
    segments.map(({ channel, rows, tuples }) => [channel, rows, Buffer.from(tuples)]),
    [['book', 3, Buffer.from(to.finish())]],
  )
})
