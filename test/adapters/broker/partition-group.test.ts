import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  PartitionGroup,
  PartitionGroupMember,
} from '../../../src/adapters/broker/embedded/partition-group.ts'
import { until } from '../../contract/broker-fixtures.ts'

type Partitions = readonly { readonly topic: string; readonly partition: number }[]

const names = (partitions: Partitions) =>
  partitions.map(({ topic, partition }) => `${topic}${partition}`).sort()

/** Members that note what they hold; while one takes its partitions over, it holds the old and the new ones. */
class Members {
  readonly held = new Map<string, ReadonlySet<string>>()
  /** What each was last given, once it has taken it over. */
  readonly #taken = new Map<string, readonly string[]>()
  readonly failures: unknown[] = []

  make(name: string, topics: Record<string, number>, take: () => Promise<void> = async () => {}) {
    const onAssignment = async (partitions: Partitions) => {
      const given = names(partitions)
      for (const [other, theirs] of this.held) {
        if (other === name) continue
        assert.deepEqual(
          given.filter((partition) => theirs.has(partition)),
          [],
          `${other} still holds these`,
        )
      }
      this.held.set(name, new Set([...(this.held.get(name) ?? []), ...given]))
      await take()
      this.held.set(name, new Set(given))
      this.#taken.set(name, given)
    }
    return new PartitionGroupMember(new Map(Object.entries(topics)), onAssignment, (error) => {
      this.failures.push(error)
    })
  }

  of(name: string): string[] {
    return [...(this.#taken.get(name) ?? [])]
  }
}

test('a partition is given up by one member before another gets it', async () => {
  const members = new Members()
  const group = new PartitionGroup()
  const slowly = () => new Promise<void>(setImmediate)
  const [a, b, c] = ['a', 'b', 'c'].map((name) => members.make(name, { x: 6, y: 6 }, slowly))
  assert.ok(a && b && c)
  group.join(a)
  await until('a has all', () => members.of('a').length === 12)
  group.join(b)
  group.join(c)
  await until('each has a third', () => ['a', 'b', 'c'].every((name) => members.of(name).length === 4))
  assert.deepEqual(members.of('a'), ['x0', 'x3', 'y0', 'y3'], 'partitions of one number stay together')
  group.leave(b)
  members.held.delete('b')
  await until('two share', () => members.of('a').length === 6 && members.of('c').length === 6)
  assert.deepEqual(members.failures, [])
  group.close()
})

test('only members that read a topic get its partitions', async () => {
  const members = new Members()
  const group = new PartitionGroup()
  group.join(members.make('a', { x: 1, y: 2 }))
  group.join(members.make('b', { y: 2 }))
  await until('both have theirs', () => members.of('a').length === 2 && members.of('b').length === 1)
  assert.deepEqual([members.of('a'), members.of('b')], [['x0', 'y0'], ['y1']])
  group.close()
})

test('a member that does not give up holds the others up no longer than the deadline', async () => {
  const members = new Members()
  const group = new PartitionGroup(5)
  const given: string[][] = []
  const hangs = new PartitionGroupMember(
    new Map([['x', 2]]),
    (partitions) => {
      given.push(names(partitions))
      return new Promise(() => {})
    },
    (error) => members.failures.push(error),
  )
  group.join(hangs)
  group.join(members.make('b', { x: 2 }))
  await until('b has its share', () => members.of('b').length === 1)
  group.leave(hangs)
  await until('b has all', () => members.of('b').length === 2)
  assert.deepEqual(given, [['x0']], 'never called twice at once')
  group.close()
})

test('a member that fails is reported, and hears of the next assignment', async () => {
  const group = new PartitionGroup()
  const failure = new Error('cannot take over')
  const reported: unknown[] = []
  const given: string[][] = []
  const fails = new PartitionGroupMember(
    new Map([['x', 2]]),
    async (partitions) => {
      given.push(names(partitions))
      throw failure
    },
    (error) => reported.push(error),
  )
  group.join(fails)
  await until('the failure is reported', () => reported.length === 1)
  group.join(new Members().make('b', { x: 2 }))
  await until('the next one is reported', () => reported.length === 2)
  assert.deepEqual(reported, [failure, failure])
  assert.deepEqual(given, [['x0', 'x1'], ['x0']])
  group.close()
})
