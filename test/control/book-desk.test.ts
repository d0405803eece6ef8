import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBookDesk } from '../../src/control/book-desk.ts'
import { encodeEvent } from '../../src/domain/event-codec.ts'
import type { Book } from '../../src/domain/events.ts'
import { NAMES } from '../names.ts'
import { NEVER, openBareLog } from '../services/producer/one-shard.ts'

const MARKET = { exchange: 'kraken', symbol: 'BTC-USD' }

const record = (seq: number, rest: Partial<Book>): Book => ({
  ...{ ...MARKET, snapshot: false, bids: [], asks: [], seq, ts: seq, recvTs: seq, ...rest },
})

test('the book of a market is the last snapshot in the log and what follows it, without the records of former owners', async (t) => {
  const { broker } = await openBareLog(t)
  const topic = NAMES.fixed.book
  const clock = { aheadMs: 0 }
  const desk = createBookDesk({
    ...{ broker, topic, partitions: 1, staleAfterMs: 30_000 },
    now: () => Date.now() + clock.aheadMs,
  })
  const publish = async (epoch: number, ...books: readonly Book[]) => {
    const headers = { v: 1, kind: 'event', shard: 0, epoch } as const
    const records = books.map((book) => ({
      ...{ key: `${book.exchange}:${book.symbol}`, value: encodeEvent(book), headers },
    }))
    const [ack] = await broker.publish([{ topic, partition: 0, records }], NEVER)
    return (ack?.baseOffset ?? 0) + books.length - 1
  }
  const read = () => desk.read(MARKET, NEVER)

  await assert.rejects(read, { code: 'BOOK_UNKNOWN' })
  await publish(1, record(4, { bids: [[9, 1]] }))
  await assert.rejects(read, { code: 'BOOK_UNKNOWN' })
  await publish(2, record(1, { snapshot: true, bids: [[9, 1]], asks: [[10, 1]] }))
  // A former owner writes late.
  await publish(1, record(2, { bids: [[8, 7]] }))
  const offset = await publish(
    2,
    record(2, {
      bids: [
        [9, 0],
        [8, 2],
      ],
    }),
    { ...record(3, { snapshot: true, bids: [[1, 1]] }), symbol: 'ETH-USD' },
    record(3, { asks: [[11, 1]] }),
  )
  const { book, position } = await read()
  assert.deepEqual(position, { topic, partition: 0, offset })
  assert.deepEqual(
    [book.bids, book.asks, book.seq],
    [
      [[8, 2]],
      [
        [10, 1],
        [11, 1],
      ],
      3,
    ],
  )

  await publish(2, record(4, { doubt: 'checksum' }))
  await assert.rejects(read, { code: 'BOOK_IN_DOUBT', message: /checksum/ })
  await publish(2, record(5, { snapshot: true, bids: [[9, 1]], asks: [] }))
  assert.deepEqual((await read()).book.bids, [[9, 1]])
  clock.aheadMs = 60_000
  await assert.rejects(read, { code: 'BOOK_IN_DOUBT', message: /nothing has told of it/ })
})
