import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeCursor, encodeCursor } from '../../src/domain/cursor.ts'
import { TapelineError } from '../../src/errors.ts'
import { SEED } from '../seed.ts'

const FIXED = 'market.trades'
const INVALID = { code: 'CURSOR_INVALID' } as const

const shard = fc.integer({ min: 0, max: 63 }).map(String)
const name = fc.stringMatching(/^[a-z][a-z0-9._-]{0,30}$/)
const memory = fc.record(
  {
    epochs: fc.dictionary(shard, fc.maxSafeNat(), { noNullPrototype: true }),
    positions: fc.dictionary(
      name,
      fc.dictionary(shard, fc.tuple(fc.maxSafeNat(), fc.nat()), { noNullPrototype: true }),
      { maxKeys: 3, noNullPrototype: true },
    ),
  },
  { noNullPrototype: true },
)
const topic = fc.record(
  {
    topicId: fc.uuid(),
    offset: fc.maxSafeNat(),
    memory: fc.option(memory, { nil: undefined }),
  },
  { noNullPrototype: true },
)
const cursor = fc.record(
  {
    lease: fc.string({ unit: 'grapheme' }),
    topics: fc.array(topic, { maxLength: 3 }),
  },
  { noNullPrototype: true },
)

test(`a cursor comes back as it went, with all its topics (seed ${SEED})`, () => {
  fc.assert(
    fc.property(cursor, (each) => {
      const text = encodeCursor(each)
      if (text.length > 4_000) return
      assert.deepEqual(decodeCursor(text, FIXED), each)
    }),
    { seed: SEED },
  )
})

test(`anything else is CURSOR_INVALID (seed ${SEED})`, () => {
  const text = fc.oneof(
    fc.string(),
    fc.uint8Array().map((bytes) => Buffer.from([2, ...bytes]).toString('base64url')),
    fc.json().map((json) => Buffer.from(json).toString('base64url')),
    fc
      .array(fc.anything())
      .map((each) => Buffer.from(JSON.stringify([1, ...each]) ?? '').toString('base64url')),
  )
  fc.assert(
    fc.property(text, (each) => {
      try {
        assert.equal(encodeCursor(decodeCursor(each, FIXED)), each)
      } catch (error) {
        assert.ok(error instanceof TapelineError && error.code === 'CURSOR_INVALID', String(error))
      }
    }),
    { seed: SEED, numRuns: 1_000 },
  )
})

test(`a cursor that was changed anywhere is refused, or is another one (seed ${SEED})`, () => {
  fc.assert(
    fc.property(
      cursor,
      fc.nat(),
      fc.constantFrom('', '=', '==', '\0', ' ', '\n', '.', '+', '/', 'A'),
      (each, at, by) => {
        const text = encodeCursor(each)
        const place = at % (text.length + 1)
        const changed = text.slice(0, place) + by + text.slice(place)
        if (changed === text) return
        try {
          assert.equal(
            encodeCursor(decodeCursor(changed, FIXED)),
            changed,
            'there is one text for each cursor',
          )
        } catch (error) {
          assert.ok(error instanceof TapelineError && error.code === 'CURSOR_INVALID', String(error))
        }
      },
    ),
    { seed: SEED, numRuns: 500 },
  )
})

const one = { lease: 'a', topics: [{ topicId: 't', offset: 1, memory: { epochs: {}, positions: {} } }] }

test('a NUL, padding, blanks, and bits that belong to no byte are refused', () => {
  const text = encodeCursor(one)
  assert.notEqual(text.length % 4, 0, 'its last character has bits to spare')
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const spare = text.slice(0, -1) + alphabet[alphabet.indexOf(text.at(-1) ?? '') + 1]
  assert.deepEqual(
    Buffer.from(spare, 'base64url'),
    Buffer.from(text, 'base64url'),
    'Node reads it as the same bytes',
  )
  for (const changed of [
    `${text}\0`,
    `${text}=`,
    `${text}==`,
    ` ${text}`,
    `${text}\n`,
    `${text}%00`,
    spare,
    '',
  ])
    assert.throws(() => decodeCursor(changed, FIXED), INVALID, JSON.stringify(changed))
  const longer = Buffer.concat([Buffer.from(text, 'base64url'), Buffer.from([0])]).toString('base64url')
  assert.throws(() => decodeCursor(longer, FIXED), INVALID, 'a NUL within')
})

test('a cursor of version 1 is read: its positions are those of the one fixed topic of its stream', () => {
  const former = (...body: readonly unknown[]): string =>
    Buffer.from(JSON.stringify(body)).toString('base64url')
  const text = former(1, 'lease', 'topic', 17, { 0: 3, 2: 9 }, { 0: [5, 0], 2: [8, 1] })
  assert.deepEqual(decodeCursor(text, FIXED), {
    lease: 'lease',
    topics: [
      {
        topicId: 'topic',
        offset: 17,
        memory: { epochs: { 0: 3, 2: 9 }, positions: { [FIXED]: { 0: [5, 0], 2: [8, 1] } } },
      },
    ],
  })
  assert.throws(() => decodeCursor(`${text}\0`, FIXED), INVALID)
  for (const broken of [
    former(1, 'lease', 'topic', 17, { 0: 3 }, {}, 'more'),
    former(1, 'lease', 'topic', -1, {}, {}),
    former(1, 'lease', 'topic', 17, { x: 3 }, {}),
    former(1, 'lease', 'topic', 17, { 0: 3 }, { 0: [5] }),
    former(3, 'lease', 'topic', 17, {}, {}),
    Buffer.from('[1,"lease","topic", 17,{},{}]').toString('base64url'),
  ])
    assert.throws(() => decodeCursor(broken, FIXED), INVALID, broken)
})

test('the largest platform has room for two topics with all that a reader remembers', () => {
  const shards = Array.from({ length: 64 }, (_, k) => k)
  const large = {
    epochs: Object.fromEntries(shards.map((k) => [k, 90_000_000 + k])),
    positions: { 'market.trades': Object.fromEntries(shards.map((k) => [k, [4e9 + k, 0] as const])) },
  }
  const topics = [1, 2].map((n) => ({
    topicId: `0b6e2f4c-7a53-4f2b-9d1c-${n}`.padEnd(36, '0'),
    offset: 7e9,
    memory: large,
  }))
  const text = encodeCursor({ lease: '01kb0c5x9k8m2v7q4t6w3z1y0h', topics })
  assert.ok(text.length <= 4_096, `${text.length} characters`)
  assert.deepEqual(decodeCursor(text, FIXED).topics, topics)
})

test('what finds no room is what can be learned again, of the earliest topics first; a longer text is refused', () => {
  const shards = Array.from({ length: 64 }, (_, k) => k)
  const large = {
    epochs: Object.fromEntries(shards.map((k) => [k, 9e12 + k])),
    positions: { 'market.trades': Object.fromEntries(shards.map((k) => [k, [9e14 + k, 0] as const])) },
  }
  const topics = Array.from({ length: 16 }, (_, n) => ({
    topicId: `0b6e2f4c-7a53-4f2b-9d1c-${n}`.padEnd(36, '0'),
    offset: 9e14,
    memory: large,
  }))
  const text = encodeCursor({ lease: '01kb0c5x9k8m2v7q4t6w3z1y0h', topics })
  assert.ok(text.length <= 4_096, `${text.length} characters`)
  const read = decodeCursor(text, FIXED).topics
  assert.deepEqual(
    read.map(({ topicId, offset }) => ({ topicId, offset })),
    topics.map(({ topicId, offset }) => ({ topicId, offset })),
  )
  assert.equal(read[0]?.memory, undefined)
  assert.deepEqual(read.at(-1)?.memory, large)
  assert.throws(() => decodeCursor('A'.repeat(4_097), FIXED), INVALID)
})
