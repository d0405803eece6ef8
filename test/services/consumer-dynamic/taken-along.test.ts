import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeCursor } from '../../../src/domain/cursor.ts'
import { emptyMemory, positionsBefore, raise } from '../../../src/domain/reader-rules.ts'
import type { Lease } from '../../../src/ports/streams.ts'
import type { AppMessage } from '../../../src/ports/transport.ts'
import { Subscription } from '../../../src/services/consumer-dynamic/subscription.ts'
import { NAMES } from '../../names.ts'

const TRADES = NAMES.fixed.trade
const SEAM = 100
const START = 105
const spec = (channel: 'trade' | 'quote') => ({ channel, symbols: ['*'], exchanges: [] })
/** Trades, then quotes, then trades again. */
const LEASE: Lease = {
  ...{ id: 's', app: 'a', spec: spec('trade'), ttlMs: 0, opensTopic: false, createdAt: 0, standing: false },
  ...{ topic: 'app.last', topicId: 'last', start: [START], begin: 0 },
  former: [
    { topic: 'app.first', topicId: 'first', spec: spec('trade'), begin: 0, seam: [SEAM], end: 7 },
    {
      ...{ topic: 'app.quotes', topicId: 'quotes', spec: spec('quote'), start: [50], begin: 0 },
      ...{ seam: [60], end: 0 },
    },
  ],
}

/** Who has got the first topic's records up to an offset of the fixed topic goes on to the last one, where its lease begins at `start`. */
function comeFrom(got: number, start = START) {
  const messages: AppMessage[] = []
  const endpoint = {
    ...{ id: 'e', pendingBytes: 0, closed: false },
    send: (message: AppMessage) => messages.push(message),
    sendEncoded() {},
    async drained() {},
  }
  const memory = raise(emptyMemory(), positionsBefore(TRADES, [got + 1]))
  const beginning = { topicId: 'first', offset: 7, memory }
  const subscription = new Subscription(endpoint, { ...LEASE, start: [start] }, beginning, NAMES.fixed)
  subscription.activate({
    ...{ topic: 'app.last', topicId: 'last', nextOffset: 0, memory: emptyMemory(), isReplaced: false },
    ...{ isRotten: false, rewinds: 0, rewoundTo: 0, rewoundMemory: emptyMemory() },
  })
  subscription.enterNext()
  subscription.enterNext()
  const last = messages.at(-1)
  const [place] = decodeCursor(last !== undefined && 'cursor' in last ? last.cursor : '', TRADES).topics
  return {
    told: messages.map(({ op }) => op),
    isOwn: (offset: number): boolean => offset > (place?.memory?.positions[TRADES]?.[0]?.[0] ?? -1),
  }
}

test('a reader that had got trades after a seam, and comes to trades again after these, goes on without a word', () => {
  const { told, isOwn } = comeFrom(START - 2)
  assert.deepEqual(told, ['subscribed', 'subscribed', 'subscribed'])
  assert.deepEqual([isOwn(START - 1), isOwn(START)], [false, true])
})

test('a reader that had got more trades than lie in front of where it comes to trades again is told, and gets what is there: the log may have lost its end', () => {
  const { told, isOwn } = comeFrom(START + 5)
  assert.deepEqual(told, ['subscribed', 'subscribed', 'subscribed', 'reset'])
  assert.deepEqual([isOwn(START - 1), isOwn(START)], [false, true])
})

/** In front of the seam: trades have lost their end before the second move. */
const AGAIN = SEAM - 10

test('a reader that had got trades in the place of a lost end in front of the seam, and comes to them again, is told', () => {
  const { told, isOwn } = comeFrom(SEAM - 5, AGAIN)
  assert.deepEqual(told, ['subscribed', 'subscribed', 'subscribed', 'reset'])
  assert.deepEqual([isOwn(AGAIN - 1), isOwn(AGAIN)], [false, true])
})

test('a reader that had got no trades from where it comes to them again, in the place of a lost end, goes on without a word', () => {
  const { told, isOwn } = comeFrom(AGAIN - 1, AGAIN)
  assert.deepEqual(told, ['subscribed', 'subscribed', 'subscribed'])
  assert.deepEqual([isOwn(AGAIN - 1), isOwn(AGAIN)], [false, true])
})
