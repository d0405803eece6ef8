import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PartitionGroup } from '../../../src/adapters/broker/embedded/partition-group.ts'
import { until } from '../../contract/broker-fixtures.ts'

type Partitions = readonly { readonly topic: string; readonly partition: number }[]

const names = (partitions: Partitions) =>
  partitions.map(({ topic, partition }) => `${topic}${partition}`).sort()

/** A group of members that note what they hold; while one takes its partitions over, it holds the old and the new ones. */
class Members {
  readonly held = new Map<string, ReadonlySet<string>>()
  /** What each was last given, once it has taken it over. */
  readonly #taken = new Map<string, readonly string[]>()
  readonly failures: unknown[] = []
  readonly group = new PartitionGroup((error) => this.failures.push(error))

  join(name: string, topics: Record<string, number>, take: () => Promise<void> = async () => {}) {
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
    const leave = this.group.join(new Map(Object.entries(topics)), onAssignment)
    return () => {
      this.held.delete(name)
      leave()
    }
  }

  of(name: string): string[] {
    return [...(this.#taken.get(name) ?? [])]
  }
}

test('a partition is given up by one member before another gets it', async () => {
  const members = new Members()
  const slowly = () => new Promise<void>(setImmediate)
  members.join('a', { x: 6, y: 6 }, slowly)
  await until('a has all', () => members.of('a').length === 12)
  const leave = members.join('b', { x: 6, y: 6 }, slowly)
  members.join('c', { x: 6, y: 6 }, slowly)
  await until('each has a third', () => ['a', 'b', 'c'].every((name) => members.of(name).length === 4))
  assert.deepEqual(members.of('a'), ['x0', 'x3', 'y0', 'y3'], 'partitions of one number stay together')
  leave()
  await until('two share', () => members.of('a').length === 6 && members.of('c').length === 6)
  assert.deepEqual(members.failures, [])
  members.group.close()
})

test('only members that read a topic get its partitions', async () => {
  const members = new Members()
  members.join('a', { x: 1, y: 2 })
  members.join('b', { y: 2 })
  await until('both have theirs', () => members.of('a').length === 2 && members.of('b').length === 1)
  assert.deepEqual([members.of('a'), members.of('b')], [['x0', 'y0'], ['y1']])
  members.group.close()
})

test('a member that does not give up holds the others up until it leaves', async () => {
  const members = new Members()
  const given: string[][] = []
  const leave = members.group.join(new Map([['x', 2]]), (partitions) => {
    given.push(names(partitions))
    return new Promise(() => {})
  })
  await until('it is given all', () => given.length === 1)
  members.join('b', { x: 2 })
  await new Promise(setImmediate)
  assert.deepEqual(members.of('b'), [])
  leave()
  await until('b has all', () => members.of('b').length === 2)
  assert.deepEqual(given, [['x0', 'x1']], 'never called twice at once')
  members.group.close()
})

test('a member that fails is reported, and hears of the next assignment', async () => {
  const members = new Members()
  const failure = new Error('cannot take over')
  const given: string[][] = []
  members.group.join(new Map([['x', 2]]), async (partitions) => {
    given.push(names(partitions))
    throw failure
  })
  await until('the failure is reported', () => members.failures.length === 1)
  members.join('b', { x: 2 })
  await until('the next one is reported', () => members.failures.length === 2)
  assert.deepEqual(members.failures, [failure, failure])
  assert.deepEqual(given, [['x0', 'x1'], ['x0']])
  members.group.close()
})
