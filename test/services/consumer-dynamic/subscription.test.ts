import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { decodeCursor } from '../../../src/domain/cursor.ts'
import { emptyMemory, type ReaderMemory } from '../../../src/domain/reader-rules.ts'
import type { StreamBatch } from '../../../src/ports/pipeline.ts'
import type { Lease } from '../../../src/ports/streams.ts'
import type { AppMessage } from '../../../src/ports/transport.ts'
import type { DataFrame } from '../../../src/services/consumer-dynamic/data-frame.ts'
import type { Beginning } from '../../../src/services/consumer-dynamic/legs.ts'
import { Subscription } from '../../../src/services/consumer-dynamic/subscription.ts'
import type { TopicFeed } from '../../../src/services/consumer-dynamic/topic-hub.ts'
import { NAMES } from '../../names.ts'

const FIXED = 'market.trades'
const LEASE: Lease = {
  ...{ id: 's', app: 'a', spec: { channel: 'trade', symbols: ['*'], exchanges: [] }, ttlMs: 0 },
  ...{ topic: 'app.s', topicId: 'T', opensTopic: true, createdAt: 0, standing: false },
}

const memoryAt = (epoch: number): ReaderMemory => ({ epochs: { 0: epoch }, positions: {} })

/** Events of these offsets; without one, a batch that only covers a part of the log. */
function batch(
  from: number,
  next: number,
  offsets: readonly number[],
  reset: string | null = null,
): StreamBatch {
  const events = offsets.map((offset) => ({ offset, value: Buffer.from(`{"n":${offset}}`) }))
  return { topic: 'app.s', topicId: 'T', from, next, after: memoryAt(next), events, reset }
}

function setUp(beginning?: Beginning, lease = LEASE) {
  /** What the application got, in short: what it was told, and the offsets of events. */
  const got: string[] = []
  let cursor = ''
  const endpoint = {
    ...{ id: 'e', pendingBytes: 0, closed: false },
    send(message: AppMessage) {
      if ('cursor' in message) cursor = message.cursor
      got.push(message.op === 'reset' ? `reset ${message.reason}` : message.op)
    },
    sendEncoded(bytes: Uint8Array) {
      const message = JSON.parse(Buffer.from(bytes).toString()) as { cursor: string; events: { n: number }[] }
      cursor = message.cursor
      got.push(message.events.map(({ n }) => n).join())
    },
    async drained() {},
  }
  const subscription = new Subscription(endpoint, lease, beginning, NAMES.fixed)
  const feed = (nextOffset: number, isReplaced = false): TopicFeed => ({
    ...{ topic: 'app.s', topicId: 'T', nextOffset, memory: memoryAt(nextOffset), isReplaced },
    ...{ isRotten: false, rewinds: 0, rewoundTo: 0, rewoundMemory: emptyMemory() },
  })
  return {
    ...{ subscription, endpoint, got, feed },
    deliver: (each: StreamBatch, shared = new Map<string, DataFrame>()) => subscription.deliver(each, shared),
    cursorAt: () => decodeCursor(cursor, FIXED).topics[0],
  }
}

describe('a subscription', () => {
  test('without a cursor begins with what comes next', () => {
    const { subscription, feed, got, deliver, cursorAt } = setUp()
    assert.deepEqual(deliver(batch(5, 6, [5])), { kind: 'sent', events: 0 }, 'it waits for its topic')
    assert.equal(subscription.activate(feed(7)), false)
    assert.equal(subscription.state, 'live')
    assert.deepEqual(deliver(batch(5, 8, [5, 6, 7])), { kind: 'sent', events: 1 }, 'what it had not got yet')
    assert.deepEqual(got, ['subscribed', '7'])
    assert.deepEqual([cursorAt()?.offset, cursorAt()?.memory], [8, memoryAt(8)])
    assert.deepEqual(deliver(batch(5, 8, [5, 6, 7])), { kind: 'sent', events: 0 })
  })

  test('at a cursor catches up where that is not where the others are', () => {
    for (const [offset, state] of [
      [7, 'live'],
      [5, 'behind'],
      [9, 'behind'],
    ] as const) {
      const { subscription, feed } = setUp({ topicId: 'T', offset, memory: emptyMemory() })
      assert.equal(subscription.activate(feed(7)), state === 'behind')
      assert.equal(subscription.state, state)
      assert.equal(subscription.nextOffset, offset)
    }
    const unknown = setUp({ topicId: 'T', offset: 7, memory: undefined })
    assert.equal(unknown.subscription.activate(unknown.feed(7)), true, 'what it remembers must be learned')
    const replaced = setUp({ topicId: 'T', offset: 7, memory: emptyMemory() })
    assert.equal(replaced.subscription.activate(replaced.feed(7, true)), true)
  })

  test('whose history is gone is told so before anything else', () => {
    const { subscription, feed, got } = setUp({
      topicId: 'T',
      offset: 0,
      memory: emptyMemory(),
      reset: 'it is over',
    })
    subscription.activate(feed(7))
    assert.deepEqual(got, ['subscribed', 'reset it is over'])
  })

  test('whose topic is gone before it could be opened begins in the next one, and is told so', () => {
    const { subscription, got, cursorAt } = setUp({ topicId: 'T', offset: 2, memory: memoryAt(4) })
    subscription.moveTo({ ...LEASE, topic: 'app.next', topicId: 'NEXT', start: [9], begin: 1 })
    const nothing = { isReplaced: false, isRotten: false, rewinds: 0, rewoundTo: 0 }
    const next = { topic: 'app.next', topicId: 'NEXT', nextOffset: 5, memory: memoryAt(5), ...nothing }
    subscription.activate({ ...next, rewoundMemory: emptyMemory() })
    assert.deepEqual(got, ['subscribed', 'reset the topic that the cursor was made of is over'])
    assert.deepEqual([cursorAt()?.topicId, cursorAt()?.offset], ['NEXT', 1])
    assert.deepEqual(cursorAt()?.memory?.epochs, {})
  })

  test('whose lease has moved before its topic could be opened begins there all the same', () => {
    const { subscription, feed, got, cursorAt } = setUp({ topicId: 'T', offset: 2, memory: memoryAt(4) })
    const { topic, topicId, spec } = LEASE
    const former = [{ topic, topicId, spec, begin: 0, seam: [9], end: null }]
    subscription.moveTo({ ...LEASE, topic: 'app.next', topicId: 'NEXT', start: [9], begin: 1, former })
    subscription.activate(feed(5))
    assert.deepEqual(got, ['subscribed'])
    assert.deepEqual([cursorAt()?.topicId, cursorAt()?.offset], ['T', 2])
  })

  test('is told of a reset in the log, in front of what follows', () => {
    const { subscription, feed, got, deliver, cursorAt } = setUp()
    subscription.activate(feed(7))
    deliver(batch(7, 9, [8], 'retention'))
    assert.deepEqual(got, ['subscribed', 'reset retention', '8'])
    assert.equal(cursorAt()?.offset, 9)
  })

  test('is told of a log that lost its end, wherever it is', () => {
    const { subscription, feed, got, deliver } = setUp()
    subscription.activate(feed(7))
    assert.deepEqual(deliver(batch(7, 3, [], 'the end is lost')), { kind: 'sent', events: 0 })
    assert.deepEqual([got, subscription.nextOffset], [['subscribed', 'reset the end is lost'], 3])
  })

  test('gets nothing from in front of its lease again, where the log has lost its end', () => {
    const { subscription, feed, got, deliver } = setUp(undefined, { ...LEASE, start: [30] })
    const caused = (from: number, ...causes: number[]): StreamBatch => ({
      ...batch(from, from + causes.length, []),
      events: causes.map((cause, i) => ({
        ...{ offset: from + i, value: Buffer.from(`{"n":${cause}}`) },
        position: { topic: FIXED, partition: 0, offset: cause },
      })),
    })
    subscription.activate(feed(5))
    deliver({ ...caused(5, 40), after: { epochs: {}, positions: { [FIXED]: { 0: [40, 0] } } } })
    deliver(batch(6, 2, [], 'the log lost its end'))
    deliver(caused(2, 20, 29, 30, 40))
    assert.deepEqual(got, ['subscribed', '40', 'reset the log lost its end', '30,40'])
  })

  test('falls behind where a batch is missing, or its socket takes too little, and then gets nothing live', () => {
    const missing = setUp()
    missing.subscription.activate(missing.feed(7))
    assert.deepEqual(missing.deliver(batch(9, 10, [9])), { kind: 'behind', isSlow: false })
    const slow = setUp()
    slow.subscription.activate(slow.feed(7))
    slow.endpoint.pendingBytes = 4 * 1024 * 1024 + 1
    assert.deepEqual(slow.deliver(batch(7, 8, [7])), { kind: 'behind', isSlow: true })
    slow.endpoint.pendingBytes = 0
    assert.deepEqual(slow.deliver(batch(7, 8, [7])), { kind: 'sent', events: 0 })
    assert.deepEqual(slow.got, ['subscribed'])
    assert.deepEqual(slow.subscription.behindFrom(), { offset: 7, memory: memoryAt(7) })
  })

  test('falls behind with a batch that was not kept for it, unless it has that', () => {
    const { subscription, feed } = setUp()
    subscription.activate(feed(7))
    subscription.fallBehind(batch(5, 7, [5, 6]))
    assert.equal(subscription.state, 'live')
    subscription.fallBehind(batch(7, 8, [7]))
    assert.equal(subscription.state, 'behind')
  })

  test('turns live once it has all that the others were given', () => {
    const { subscription, feed, got } = setUp({ topicId: 'T', offset: 5, memory: emptyMemory() })
    subscription.activate(feed(7))
    assert.equal(subscription.joinLive(feed(7)), false)
    assert.equal(subscription.send(batch(5, 7, [5, 6]), new Map()), 2)
    assert.equal(subscription.joinLive(feed(7)), true)
    assert.deepEqual([subscription.state, got], ['live', ['subscribed', '5,6']])
  })

  test('shares its frame with others that are at the same place, and with no others', () => {
    const [one, two, late] = [setUp(), setUp(), setUp()]
    for (const { subscription, feed } of [one, two]) subscription.activate(feed(7))
    late.subscription.activate(late.feed(8))
    const shared = new Map<string, DataFrame>()
    for (const each of [one, two, late]) each.deliver(batch(7, 9, [7, 8]), shared)
    assert.deepEqual([one.got[1], two.got[1], late.got[1]], ['7,8', '7,8', '8'])
    assert.equal(shared.size, 1)
  })
})

test('its end aborts what is done for it', () => {
  const { subscription } = setUp()
  assert.equal(subscription.ended.aborted, false)
  subscription.end()
  assert.equal(subscription.ended.aborted, true)
})
