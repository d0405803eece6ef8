import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deadline, makeTopic, type OpenBroker, openFor, uniqueName, until } from './broker-fixtures.ts'

/** What a member was given, call by call. */
class Assignments {
  readonly all: string[][] = []
  #busy = false

  readonly record = async (partitions: readonly { topic: string; partition: number }[]): Promise<void> => {
    assert.equal(this.#busy, false, 'onAssignment was called twice at once')
    this.#busy = true
    await new Promise(setImmediate)
    this.all.push(partitions.map(({ topic, partition }) => `${topic}:${partition}`).sort())
    this.#busy = false
  }

  get last(): string[] {
    return this.all.at(-1) ?? []
  }
}

export function describeGroups(open: OpenBroker): void {
  test('the only member of a group gets all partitions, and may commit positions', async (t) => {
    const broker = await openFor(t, open)
    const [a, b] = [await makeTopic(broker, 2), await makeTopic(broker, 1)]
    const given = new Assignments()
    const options = { group: uniqueName('group'), topics: [a, b], onAssignment: given.record }
    const member = await broker.joinGroup(options, deadline())
    const everything = [`${a}:0`, `${a}:1`, `${b}:0`].sort()
    await until('all partitions are given', () => given.last.length === 3)
    assert.deepEqual(given.last, everything)
    await member.commit([{ topic: a, partition: 0, offset: 0 }], deadline())
    await member.leave()
  })

  test('two members share the partitions, and the one that stays gets all again', async (t) => {
    const broker = await openFor(t, open)
    const topic = await makeTopic(broker, 4)
    const group = uniqueName('group')
    const everything = [0, 1, 2, 3].map((partition) => `${topic}:${partition}`)
    const [first, second, stranger] = [new Assignments(), new Assignments(), new Assignments()]
    const join = (given: Assignments, name = group) =>
      broker.joinGroup({ group: name, topics: [topic], onAssignment: given.record }, deadline())
    const firstMember = await join(first)
    await until('the first has all', () => first.last.length === 4)
    const secondMember = await join(second)
    const other = await join(stranger, uniqueName('group'))
    await until('both have their share', () => first.last.length === 2 && second.last.length === 2)
    assert.deepEqual([...first.last, ...second.last].sort(), everything)
    await until('another group has all of its own', () => stranger.last.length === 4)
    await firstMember.leave()
    await until('the second has all', () => second.last.length === 4)
    const calls = first.all.length
    await secondMember.leave()
    await other.leave()
    assert.equal(first.all.length, calls, 'a member that left hears of nothing more')
  })
}
