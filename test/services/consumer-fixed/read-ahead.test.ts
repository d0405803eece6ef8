import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { TupleMemory } from '../../../src/adapters/store/tuple-memory.ts'
import { emptyMemory } from '../../../src/domain/reader-rules.ts'
import { TapelineError } from '../../../src/errors.ts'
import type { PollOptions } from '../../../src/ports/broker.ts'
import type { FixedFetch } from '../../../src/ports/pipeline.ts'
import type { Claim } from '../../../src/ports/store.ts'
import type { Claims } from '../../../src/services/consumer-fixed/claims.ts'
import { createReadAhead } from '../../../src/services/consumer-fixed/read-ahead.ts'
import { quietLog } from '../../quiet.ts'
import { NEVER, TOPICS, tradeRecord } from './consumers.ts'

const PLACE = { topic: TOPICS.trade, topicId: 'id', partition: 0 }
const CLAIM: Claim = { ...PLACE, fence: 1, nextOffset: 0, memory: emptyMemory() }
const MOST = 100

/** A poll found so many records from an offset on, and so many more lie after them. */
function fetched(from: number, count: number, behind = 0): FixedFetch {
  const records = Array.from({ length: count }, (_, i) => ({
    ...{ ...tradeRecord(0, `t${from + i}`), offset: from + i, timestamp: 0 },
  }))
  const nextOffset = from + count
  return { kind: 'records', ...PLACE, records, nextOffset, endOffset: nextOffset + behind, from }
}

/** Reads ahead of polls that the test plays one by one; without an answer a poll finds nothing. */
function setUp(
  t: TestContext,
  answers: readonly (FixedFetch | TapelineError | (() => Promise<FixedFetch>))[],
) {
  const left = [...answers]
  const polls: PollOptions[] = []
  const state = { isWriting: false }
  const claims = {
    async poll(options: PollOptions, signal: AbortSignal) {
      signal.throwIfAborted()
      polls.push(options)
      const answer = left.shift()
      if (answer instanceof TapelineError) throw answer
      const fetch = typeof answer === 'function' ? await answer() : answer
      return fetch === undefined ? [] : [fetch]
    },
  } satisfies Partial<Claims> as Partial<Claims> as Claims
  const { book: _notStored, ...topics } = TOPICS
  const ahead = createReadAhead(
    {
      ...{ maxRecords: MOST, lingerMs: 0, topics, nowMicros: () => 0, raiseAlert() {}, log: quietLog },
      ...{ memory: new TupleMemory(), chunkMicros: 3.6e9 },
    },
    { claims, claimOf: () => CLAIM, isWriting: () => state.isWriting },
  )
  t.after(() => ahead.close())
  return { ahead, polls, state, left }
}

test('a small batch waits for company once, one with a backlog after it is read to its full size', async (t) => {
  const { ahead, polls } = setUp(t, [fetched(0, 2), fetched(2, 3)])
  const small = await ahead.take(NEVER)
  assert.deepEqual([small.records, small.prepared.rows], [5, 5])
  assert.deepEqual(
    polls.map(({ waitMs }) => waitMs > 0),
    [true, false],
  )

  const loaded = setUp(t, [fetched(0, 2, 200), fetched(2, 60, 140), fetched(62, 38, 102), fetched(100, 1)])
  const full = await loaded.ahead.take(NEVER)
  assert.equal(full.records, MOST)
  assert.deepEqual(
    loaded.polls.map(({ maxRecords }) => maxRecords),
    [100, 98, 38],
  )
  assert.equal(loaded.left.length, 1, 'no more than fits is read')
})

test('as long as the batch before is being written, more is gathered', async (t) => {
  const world = setUp(t, [
    fetched(0, 20),
    async () => fetched(20, 20),
    async () => {
      world.state.isWriting = false
      return fetched(40, 20)
    },
    fetched(60, 20),
  ])
  world.state.isWriting = true
  assert.equal((await world.ahead.take(NEVER)).records, 60)
})

test('it reads while nobody waits, and holds one batch', async (t) => {
  const read = Promise.withResolvers<void>()
  const { ahead, polls } = setUp(t, [
    async () => {
      read.resolve()
      return fetched(0, 50)
    },
    fetched(50, 50),
  ])
  ahead.begin()
  await read.promise
  ahead.begin()
  assert.equal((await ahead.take(NEVER)).records, 50)
  assert.equal(polls.length, 1, 'nobody has asked for the next one')
  assert.equal((await ahead.take(NEVER)).records, 50)
})

test('who gives up waiting leaves the batch for the next call', async (t) => {
  const come = Promise.withResolvers<FixedFetch>()
  const { ahead } = setUp(t, [() => come.promise])
  const stop = new AbortController()
  const givenUp = ahead.take(stop.signal)
  stop.abort()
  await assert.rejects(givenUp, { name: 'AbortError' })
  come.resolve(fetched(0, 50))
  assert.equal((await ahead.take(NEVER)).records, 50)
})

test('a failure before anything was read is raised once; what was read in front of one is a batch', async (t) => {
  const failure = new TapelineError('BROKER_UNAVAILABLE', 'away')
  const { ahead } = setUp(t, [failure, fetched(0, 50), fetched(50, 2), failure])
  await assert.rejects(ahead.take(NEVER), { code: 'BROKER_UNAVAILABLE' })
  assert.equal((await ahead.take(NEVER)).records, 50)
  assert.equal((await ahead.take(NEVER)).records, 2)
})
