import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { TapelineError } from '../../../src/errors.ts'
import type { FixedFetch } from '../../../src/ports/pipeline.ts'
import { storeInHalves } from '../../../src/services/consumer-fixed/store-in-halves.ts'
import { SEED } from '../../seed.ts'

/** Records 10, 11, ...; the fetch began before the first, and ends after what follows the last. */
function fetchOf(count: number): FixedFetch {
  const records = Array.from({ length: count }, (_, i) => ({
    ...{ offset: 10 + i, key: null, value: null, timestamp: 0 },
    headers: { v: 1, kind: 'event' } as const,
  }))
  const common = { topic: 'market.trades', topicId: 'id', partition: 0 } as const
  return { ...common, kind: 'records', records, from: 8, nextOffset: 12 + count, endOffset: 12 + count }
}

/** A database that refuses some records, and more than so many at once. */
function setUp(refused: readonly number[], most = Number.POSITIVE_INFINITY) {
  const stored: number[] = []
  const rejected: number[] = []
  const ends: number[] = []
  return {
    ...{ stored, rejected, ends },
    halves: {
      async store(half: FixedFetch) {
        const offsets = half.kind === 'records' ? half.records.map(({ offset }) => offset) : []
        if (offsets.length > most) throw new TapelineError('STORE_WRITE_TOO_LARGE', 'too many rows')
        if (offsets.some((offset) => refused.includes(offset)))
          throw new TapelineError('EVENT_INVALID', 'a row is refused')
        stored.push(...offsets)
        if (half.kind === 'records') ends.push(half.nextOffset)
      },
      async reject(_half: FixedFetch, { offset }: { readonly offset: number }) {
        rejected.push(offset)
      },
    },
  }
}

describe('storing in halves', () => {
  test(`whatever the database refuses: each record is stored or set apart, once, in order, no offset left out (seed ${SEED})`, () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 40 }),
        fc.array(fc.integer({ min: 10, max: 49 })),
        fc.integer({ min: 1, max: 40 }),
        async (count, refused, most) => {
          const { stored, rejected, ends, halves } = setUp(refused, most)
          await storeInHalves(fetchOf(count), halves)
          const all = Array.from({ length: count }, (_, i) => 10 + i)
          assert.deepEqual(
            stored,
            all.filter((offset) => !refused.includes(offset)),
          )
          assert.deepEqual(
            rejected,
            all.filter((offset) => refused.includes(offset)),
          )
          assert.deepEqual(
            ends,
            ends.toSorted((a, b) => a - b),
            'what is done grows',
          )
          assert.equal(ends.at(-1), 12 + count, 'the last half ends where the fetch did')
        },
      ),
      { seed: SEED },
    ))

  test('a write that fails for another reason fails as a whole', async () => {
    const { rejected, halves } = setUp([])
    const store = async (): Promise<void> => {
      throw new TapelineError('STORE_UNAVAILABLE', 'away')
    }
    await assert.rejects(storeInHalves(fetchOf(4), { ...halves, store }), { code: 'STORE_UNAVAILABLE' })
    assert.deepEqual(rejected, [])
  })

  test('a single record that is too large for a transaction is an error, not a dead letter', async () => {
    const { rejected, halves } = setUp([], 0)
    await assert.rejects(storeInHalves(fetchOf(2), halves), { code: 'STORE_WRITE_TOO_LARGE' })
    assert.deepEqual(rejected, [])
  })
})
