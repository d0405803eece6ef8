import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  assignPartitions,
  type Subscriber,
  type TopicPartition,
} from '../../../src/adapters/broker/kafka/assign-partitions.ts'

const COUNTS = new Map([
  ['market.trades', 4],
  ['market.quotes', 4],
])
const TOPICS = [...COUNTS.keys()]

interface Member {
  readonly id: string
  owned: readonly TopicPartition[]
}

/** Lets members come together until nobody has to give anything up, and counts how often. */
function settle(members: readonly Member[], counts: ReadonlyMap<string, number> = COUNTS): number {
  for (let round = 1; ; round++) {
    const subscribers = members.map(
      ({ id, owned }): Subscriber => ({ id, topics: [...counts.keys()], owned, generation: round }),
    )
    const assigned = assignPartitions(subscribers, counts)
    const taken = new Set<string>()
    let isDone = true
    for (const member of members) {
      const own = assigned.get(member.id) ?? []
      for (const { topic, partition } of own) {
        const key = `${topic}:${partition}`
        assert.ok(!taken.has(key), `${key} was given to two members`)
        taken.add(key)
        const others = members.filter((other) => other !== member).flatMap(({ owned }) => owned)
        assert.ok(
          !others.some((place) => place.topic === topic && place.partition === partition),
          `${key} was given away while another still had it`,
        )
      }
    }
    for (const member of members) {
      const own = assigned.get(member.id) ?? []
      const kept = new Set(own.map(({ topic, partition }) => `${topic}:${partition}`))
      if (member.owned.some(({ topic, partition }) => !kept.has(`${topic}:${partition}`))) isDone = false
    }
    for (const member of members) member.owned = assigned.get(member.id) ?? []
    if (isDone) return round
    assert.ok(round < 5, 'the members do not come to rest')
  }
}

test('a member that is alone gets everything at once', () => {
  const alone: Member = { id: 'a', owned: [] }
  assert.equal(settle([alone]), 1)
  assert.equal(alone.owned.length, 8)
})

test('one that joins gets its share, and the others keep what they need not give', () => {
  const a: Member = { id: 'b-the-first', owned: [] }
  settle([a])
  const before = new Set(a.owned.map(({ topic, partition }) => `${topic}:${partition}`))
  const b: Member = { id: 'a-the-second', owned: [] }
  assert.equal(settle([a, b]), 2)
  assert.deepEqual([a.owned.length, b.owned.length], [4, 4])
  assert.ok(a.owned.every(({ topic, partition }) => before.has(`${topic}:${partition}`)))
  const numbers = (member: Member) => [...new Set(member.owned.map(({ partition }) => partition))]
  assert.equal(numbers(a).length, 2, 'partition k of every topic goes together')
})

test('whoever comes and goes, everything is shared evenly, and nothing is given to two', () => {
  const change = fc.record({ leave: fc.boolean(), which: fc.nat(9) })
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 12 }),
      fc.integer({ min: 1, max: 9 }),
      (changes, partitions) => {
        const counts = new Map(TOPICS.map((topic) => [topic, partitions]))
        let members: Member[] = []
        let next = 0
        for (const { leave, which } of changes) {
          if (leave && members.length > 1) members = members.filter((_, i) => i !== which % members.length)
          else members.push({ id: `${(which * 7) % 10}-${next++}`, owned: [] })
          settle(members, counts)
          const shares = members.map(({ owned }) => owned.length / TOPICS.length)
          assert.equal(
            shares.reduce((sum, share) => sum + share, 0),
            partitions,
          )
          assert.ok(Math.max(...shares) - Math.min(...shares) <= 1, `shares ${shares.join(', ')}`)
        }
      },
    ),
    { numRuns: 300 },
  )
})

test('of two that claim the same, the one of the later generation is believed', () => {
  const place = { topic: 'market.trades', partition: 0 }
  const counts = new Map([['market.trades', 2]])
  const topics = ['market.trades']
  const other = { topic: 'market.trades', partition: 1 }
  const assigned = assignPartitions(
    [
      { id: 'zombie', topics, owned: [place], generation: 3 },
      { id: 'owner', topics, owned: [place], generation: 4 },
    ],
    counts,
  )
  assert.deepEqual([assigned.get('owner'), assigned.get('zombie')], [[place], [other]])
})
