import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TapelineError } from '../../../src/errors.ts'
import type { GroupOptions } from '../../../src/ports/broker.ts'
import { type Claiming, Holding } from '../../../src/services/holding/holding.ts'

const NEVER = new AbortController().signal
const TOPIC = 't'

/** A holding of numbered partitions in a group that the test plays. A value is the number of the claim that it comes from. */
async function setUp(outlastsOutages?: true) {
  let group: GroupOptions | undefined
  let claims = 0
  const clock = { ms: 0 }
  const told: string[] = []
  const holding = new Holding<number, number, string>({
    broker: {
      async joinGroup(options) {
        group = options
        return { async commit() {}, async leave() {} }
      },
    },
    ...{ group: 'g', topics: [TOPIC], keyOf: ({ partition }) => partition, now: () => clock.ms },
    remember: (value) => `was ${value}`,
    release: (value, next) => void told.push(`${value} ${next}`),
    left: ({ partition }, next) => told.push(`partition ${partition} ${next}`),
    ...(outlastsOutages && { outlastsOutages }),
  })
  await holding.join(NEVER)
  return {
    ...{ holding, clock, told },
    give: (...partitions: number[]) =>
      group?.onAssignment(partitions.map((partition) => ({ topic: TOPIC, partition }))),
    doubtGroup: () => group?.onDoubt?.(),
    due: () => holding.due.map(({ partition }) => partition),
    claim: (work: (claim: Claiming<number, number>) => void = succeedAll) =>
      holding.claim(NEVER, async (claim) => work(claim)),
  }

  function succeedAll({ partitions, succeed }: Claiming<number, number>): void {
    claims++
    for (const { partition } of partitions) succeed(partition, claims)
  }
}

test('what the group gives is claimed, held, and released when the group gives it to another', async () => {
  const { holding, told, give, due, claim } = await setUp()
  await give(0, 1)
  assert.deepEqual(due(), [0, 1])
  await claim()
  assert.deepEqual(
    [...holding.held],
    [
      [0, 1],
      [1, 1],
    ],
  )
  assert.deepEqual(due(), [])
  await give(1)
  assert.deepEqual(told, ['1 unowned', 'partition 0 unowned'])
  assert.deepEqual([holding.has(0), holding.has(1)], [false, true])
})

test('a claim that ends when the group has moved on is not held', async () => {
  const { holding, give, claim } = await setUp()
  await give(0)
  await claim(({ succeed }) => {
    void give()
    assert.equal(succeed(0, 1), false)
  })
  assert.equal(holding.held.size, 0)
})

test('a doubted partition is claimed again at once, and remembers what was held', async () => {
  const { holding, told, give, due, claim } = await setUp()
  await give(0)
  await claim()
  holding.doubt(0)
  assert.deepEqual([...holding.doubted], [[0, 'was 1']])
  assert.deepEqual([told, due()], [['1 doubted'], [0]])
  await claim()
  assert.deepEqual([[...holding.held], holding.doubted.size], [[[0, 2]], 0])
})

test('a yielded partition rests until the group gives it once more, or for ten seconds', async () => {
  const { holding, clock, told, give, due, claim } = await setUp()
  await give(0)
  await claim()
  holding.yield(0)
  assert.deepEqual([told, due(), holding.has(0)], [['1 yielded', 'partition 0 yielded'], [], false])
  clock.ms = 10_000
  assert.deepEqual(due(), [0])
  await claim()
  holding.yield(0)
  assert.deepEqual(due(), [])
  await give(0)
  assert.deepEqual(due(), [0])
})

test('a fence that hits a claim older than the assignment is no reason to rest', async () => {
  const { holding, give, due, claim } = await setUp()
  await give(0)
  await claim()
  await give(0, 1)
  holding.yield(0)
  assert.deepEqual(due(), [0, 1])
  await claim(({ refuse }) => {
    void give(0, 1)
    refuse(0)
  })
  assert.deepEqual(due(), [0, 1])
})

test('a claim that is refused rests; what is in doubt stays so until a later claim tells', async () => {
  const { holding, clock, told, give, due, claim } = await setUp()
  await give(0, 1)
  await claim(({ succeed }) => succeed(0, 1))
  holding.doubt(0)
  const fenced = claim(() => {
    throw new TapelineError('FENCED', 'another one has both')
  })
  await assert.rejects(fenced, { code: 'FENCED' })
  assert.deepEqual([due(), [...holding.doubted.keys()]], [[], [0]])
  assert.deepEqual(told, ['1 doubted', 'partition 1 yielded'])
  clock.ms = 10_000
  await claim(({ yield: yieldIt }) => yieldIt(0))
  assert.deepEqual([due(), holding.doubted.size], [[1], 0])
})

test('while nobody knows what the group gives, what is held is kept and nothing is claimed', async () => {
  const { holding, give, doubtGroup, due, claim } = await setUp(true)
  await give(0, 1)
  await claim(({ succeed }) => succeed(0, 1))
  await claim(({ signal }) => {
    doubtGroup()
    assert.equal(signal.reason.code, 'BROKER_UNAVAILABLE')
  })
  assert.deepEqual([due(), [...holding.held.keys()]], [[], [0]])
  await give(0)
  assert.deepEqual([due(), [...holding.doubted.keys()]], [[0], [0]])
})
