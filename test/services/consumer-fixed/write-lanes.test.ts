import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyMemory } from '../../../src/domain/reader-rules.ts'
import { TapelineError } from '../../../src/errors.ts'
import type { TopicPartition } from '../../../src/ports/broker.ts'
import type { PreparedWrite, WriteSlice } from '../../../src/ports/pipeline.ts'
import type { Claim, PartitionWrite } from '../../../src/ports/store.ts'
import { MOST_CHUNKS } from '../../../src/services/consumer-fixed/chunk-spread.ts'
import { writeInLanes } from '../../../src/services/consumer-fixed/write-lanes.ts'

const NEVER = new AbortController().signal

const named = ({ partition, nextOffset }: Claim): string => `${partition}@${nextOffset}`

/** A slice that ends at an offset, has so many rows, and lies in so many chunks. */
function slice(newOffset: number, rows = 1, chunks = 1): WriteSlice {
  const segments = [{ channel: 'trade' as const, tuples: new Uint8Array(), rows, reentering: false }]
  const spread = { direct: chunks, low: Number.POSITIVE_INFINITY, high: Number.NEGATIVE_INFINITY }
  return { newOffset, memory: emptyMemory(), segments, chunks: spread }
}

/** The writes of a partition that is stored up to 0. */
function write(partition: number, ...slices: readonly WriteSlice[]): PreparedWrite {
  const claim = { topic: 't', topicId: 'id', partition, fence: 1, nextOffset: 0, memory: emptyMemory() }
  return {
    ...{ claim, slices, memory: emptyMemory(), newOffset: slices.at(-1)?.newOffset ?? 0 },
    segments: slices.flatMap(({ segments }) => segments),
  }
}

/** Writes over so many lanes; `store` does one transaction, and may throw. */
async function run(
  lanes: number,
  writes: readonly PreparedWrite[],
  store: (partitionWrites: readonly PartitionWrite[]) => void = () => {},
) {
  const transactions: string[] = []
  const told: string[] = []
  const tell = (what: string) => (partitions: readonly TopicPartition[]) => {
    told.push(...partitions.map(({ partition }) => `${what} ${partition}`))
  }
  const outcome = await writeInLanes(
    {
      lanes,
      async write(partitionWrites) {
        store(partitionWrites)
        transactions.push(
          partitionWrites.map(({ claim, newOffset }) => `${named(claim)}-${newOffset}`).join(' '),
        )
        return partitionWrites.map(({ claim, newOffset }) => ({ ...claim, nextOffset: newOffset }))
      },
    },
    {
      advance: (claims) => told.push(...claims.map((claim) => `advance ${named(claim)}`)),
      ...{ doubt: tell('doubt'), yieldTo: tell('yield') },
    },
    writes,
    NEVER,
  ).catch((error: unknown) => error)
  return { transactions, told, outcome }
}

function refuse(
  code: 'FENCED' | 'EVENT_INVALID' | 'STORE_UNAVAILABLE',
  ...partitions: readonly number[]
): never {
  throw new TapelineError(code, 'refused', {
    partitions: partitions.map((partition) => ({ topic: 't', partition })),
  })
}

test('a lane is one transaction, and the lanes have about as many rows each', async () => {
  const writes = [
    write(0, slice(5, 10)),
    write(1, slice(5, 90)),
    write(2, slice(5, 20)),
    write(3, slice(5, 50)),
  ]
  const { transactions, told, outcome } = await run(2, writes)
  assert.deepEqual(transactions, ['1@0-5', '3@0-5 2@0-5 0@0-5'])
  assert.deepEqual(outcome, [])
  assert.deepEqual(told.toSorted(), ['advance 0@5', 'advance 1@5', 'advance 2@5', 'advance 3@5'])
})

test('slices that lie in many chunks are transactions one after another, each under what the one before left', async () => {
  const many = MOST_CHUNKS / 2 + 1
  const { transactions, told } = await run(1, [
    write(0, slice(3, 9, many), slice(7, 9, many)),
    write(1, slice(4, 1, many)),
    write(2, slice(2, 1, 1)),
  ])
  assert.deepEqual(transactions, ['0@0-3', '1@0-4 2@0-2', '0@3-7'])
  assert.deepEqual(told, ['advance 0@7', 'advance 1@4', 'advance 2@2'], 'once, when all is written')
})

test('what another process has leaves the batch, and the rest goes on under its claims', async () => {
  const { transactions, told, outcome } = await run(
    1,
    [write(0, slice(3)), write(1, slice(4))],
    (partitionWrites) => {
      if (partitionWrites.some(({ claim }) => claim.partition === 0)) refuse('FENCED', 0)
    },
  )
  assert.deepEqual([transactions, told, outcome], [['1@0-4'], ['yield 0', 'advance 1@4'], []])
})

test('partitions of which a row is refused are given back, and what came before in the lane stays written', async () => {
  const many = MOST_CHUNKS
  const writes = [write(0, slice(3, 9, many), slice(7, 1, many)), write(1, slice(4, 1, many))]
  const { transactions, told, outcome } = await run(1, writes, (partitionWrites) => {
    if (partitionWrites.some(({ newOffset }) => newOffset === 7)) refuse('EVENT_INVALID')
  })
  assert.deepEqual(
    [transactions, told],
    [
      ['0@0-3', '1@0-4'],
      ['advance 0@3', 'advance 1@4'],
    ],
  )
  assert.ok(Array.isArray(outcome))
  assert.deepEqual(
    outcome.map(({ topic, partition, error }) => [topic, partition, error.code]),
    [['t', 0, 'EVENT_INVALID']],
  )
})

test('where the outcome is unknown the partitions of that transaction are doubted; other lanes are written all the same', async () => {
  for (const failure of ['STORE_UNAVAILABLE', 'FENCED'] as const) {
    const { transactions, told, outcome } = await run(
      2,
      [write(0, slice(3)), write(1, slice(4))],
      (partitionWrites) => {
        // FENCED that names nobody tells nothing either.
        if (partitionWrites.some(({ claim }) => claim.partition === 0)) refuse(failure)
      },
    )
    assert.deepEqual([transactions, told.toSorted()], [['1@0-4'], ['advance 1@4', 'doubt 0']])
    assert.equal((outcome as TapelineError).code, failure)
  }
})
