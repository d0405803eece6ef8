import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Admin } from '@platformatic/kafka'
import type { TapelineError } from '../../../src/errors.ts'
import type { Broker, GroupMember } from '../../../src/ports/broker.ts'
import { deadline, makeTopic, uniqueName, until } from '../../contract/broker-fixtures.ts'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing, kafkaTool } from '../../servers/kafka.ts'
import { openKafkaFor, type ProxiedKafka, startProxiedKafka } from './kafka-fixtures.ts'

/** One member and all that it was given, call by call, and how often it was told that others may have that. */
interface Joined {
  readonly member: GroupMember
  readonly all: number[][]
  readonly doubts: () => number
  readonly last: () => number[]
}

async function join(broker: Broker, group: string, topic: string, hearsDoubts = false): Promise<Joined> {
  const all: number[][] = []
  let doubts = 0
  const member = await broker.joinGroup(
    {
      group,
      topics: [topic],
      onAssignment: async (partitions) => {
        all.push(partitions.map(({ partition }) => partition))
      },
      ...(hearsDoubts && {
        onDoubt() {
          doubts++
        },
      }),
    },
    deadline(),
  )
  return { member, all, doubts: () => doubts, last: () => all.at(-1) ?? [] }
}

const total = (...members: readonly Joined[]) =>
  members.flatMap(({ last }) => last()).toSorted((a, b) => a - b)

describe('groups on Kafka', requireServer(kafkaMissing()), () => {
  let kafka: ProxiedKafka
  before(async () => {
    kafka = await startProxiedKafka()
  })
  after(() => kafka.close())

  async function committed(group: string, topic: string): Promise<number | undefined> {
    const admin = new Admin({ clientId: 'test', bootstrapBrokers: [kafka.server.bootstrap] })
    const groups = await admin.listConsumerGroupOffsets({ groups: [group] })
    await admin.close()
    const [found] = groups.flatMap(({ topics }) => topics.filter(({ name }) => name === topic))
    const offset = found?.partitions.find(({ partitionIndex }) => partitionIndex === 0)?.committedOffset
    return offset === undefined ? undefined : Number(offset)
  }

  test('who keeps its partitions does not hear of a new distribution, and nobody has one twice', async (t) => {
    const broker = await openKafkaFor(t, kafka.server.bootstrap)
    const [topic, group] = [await makeTopic(broker, 6), uniqueName('group')]
    const first = await join(broker, group, topic)
    await until('the first has all', () => first.last().length === 6)
    const second = await join(broker, group, topic)
    await until('the second has its share', () => second.last().length === 3)
    assert.deepEqual(
      first.all.map(({ length }) => length),
      [6, 3],
    )
    const third = await join(broker, group, topic)
    await until('the third has its share', () => third.last().length === 2)
    assert.deepEqual(total(first, second, third), [0, 1, 2, 3, 4, 5])
    for (const { all } of [first, second, third])
      assert.ok(
        all.every(({ length }) => length > 0),
        'nobody was without partitions in between',
      )
    await second.member.leave()
    await until('the others share what it left', () => total(first, third).length === 6)
    await Promise.all([first, third].map(({ member }) => member.leave()))
  })

  test('what is lost is given up before another gets it', async (t) => {
    const broker = await openKafkaFor(t, kafka.server.bootstrap)
    const [topic, group] = [await makeTopic(broker, 2), uniqueName('group')]
    const held = new Set<number>()
    const busy = Promise.withResolvers<void>()
    let isReleased = false
    const first = await broker.joinGroup(
      {
        group,
        topics: [topic],
        onAssignment: async (partitions) => {
          const now = partitions.map(({ partition }) => partition)
          if (now.length < held.size) {
            await busy.promise
            isReleased = true
          }
          held.clear()
          for (const partition of now) held.add(partition)
        },
      },
      deadline(),
    )
    await until('the first has both', () => held.size === 2)
    const second = await join(broker, group, topic)
    assert.deepEqual(second.last(), [])
    busy.resolve()
    await until('the second has one', () => second.last().length === 1)
    assert.ok(isReleased)
    assert.ok(!held.has(second.last()[0] ?? -1))
    await Promise.all([first.leave(), second.member.leave()])
  })

  test('while the broker stands still members keep what they have, in doubt, and each gets the same afterwards, whoever is back first', async (t) => {
    const [near, far] = [await openKafkaFor(t, kafka.server.bootstrap), await openKafkaFor(t, kafka.through)]
    const [topic, group] = [await makeTopic(near, 4), uniqueName('group')]
    const first = await join(near, group, topic, true)
    const second = await join(far, group, topic, true)
    const third = await join(near, group, topic, true)
    await until(
      'all have their share',
      () => third.last().length === 1 && total(first, second, third).length === 4,
    )
    const shares = [first.last(), second.last()]
    const told = [first.all.length, second.all.length] as const
    kafka.server.pause()
    try {
      await until('both are in doubt', () => first.doubts() === 1 && second.doubts() === 1)
      assert.deepEqual([first.all.length, second.all.length], told, 'nothing was taken from them')
      kafka.proxy.cut({ refuse: true })
      await third.member.leave()
    } finally {
      kafka.server.resume()
    }
    await until('the first is told what it has', () => first.all.length > told[0])
    kafka.proxy.accept()
    await until('the second is told what it has', () => second.all.length > told[1])
    // What the third had may come with it already: the broker too waits for those that do not come back.
    for (const [at, member] of [first, second].entries())
      for (const given of member.all.slice(told[at])) {
        assert.deepEqual(
          given.filter((partition) => shares[at]?.includes(partition)),
          shares[at],
          'it has its own',
        )
        assert.ok(
          !given.some((partition) => shares[1 - at]?.includes(partition)),
          'nobody gets what the other has',
        )
      }
    await until('who does not come back is replaced', () => total(first, second).length === 4)
    assert.deepEqual([first.doubts(), second.doubts()], [1, 1])
    await Promise.all([first, second].map(({ member }) => member.leave()))
  })

  test('a member that is cut off loses its partitions, knows it by itself, and its late commit changes nothing', async (t) => {
    const [near, far] = [await openKafkaFor(t, kafka.server.bootstrap), await openKafkaFor(t, kafka.through)]
    const [topic, group] = [await makeTopic(near, 1), uniqueName('group')]
    const zombie = await join(far, group, topic)
    await until('the zombie has it', () => zombie.last().length === 1)
    await zombie.member.commit([{ topic, partition: 0, offset: 10 }], deadline())
    await until('its position is told', async () => (await committed(group, topic)) === 10)
    const other = await join(near, group, topic)
    assert.deepEqual(other.last(), [])
    kafka.proxy.stall()
    await until('the other has it', () => other.last().length === 1)
    await until('the zombie knows', () => zombie.last().length === 0)
    await other.member.commit([{ topic, partition: 0, offset: 276 }], deadline())
    kafka.proxy.cut()
    kafka.proxy.resume()
    await zombie.member.commit([{ topic, partition: 0, offset: 80 }], deadline())
    assert.equal(await committed(group, topic), 276)
    // It comes back as a member, and the one that has the partition keeps it.
    const calls = other.all.length
    await other.member.leave()
    await until('the former zombie has it again', () => zombie.last().length === 1)
    assert.equal(other.all.length, calls, 'the owner was not disturbed')
    await zombie.member.commit([{ topic, partition: 0, offset: 300 }], deadline())
    await until('and commits', async () => (await committed(group, topic)) === 300)
    await zombie.member.leave()
  })

  test('a broker that is killed and comes back finds its members again', async (t) => {
    const broker = await openKafkaFor(t, kafka.server.bootstrap)
    const [topic, group] = [await makeTopic(broker, 4), uniqueName('group')]
    const members = [await join(broker, group, topic), await join(broker, group, topic)]
    await until('both have their share', () => total(...members).length === 4)
    await kafka.server.kill()
    await kafka.server.restart()
    const third = await join(broker, group, topic)
    await until('three share', () => third.last().length === 1 && total(...members, third).length === 4)
    assert.deepEqual(total(...members, third), [0, 1, 2, 3])
    await Promise.all([...members, third].map(({ member }) => member.leave()))
  })

  test('the session timeout is what the settings say; one that the broker does not take is refused', async (t) => {
    const topic = await makeTopic(await openKafkaFor(t, kafka.server.bootstrap))
    for (const sessionMs of [5_000, 3_600_000]) {
      const broker = await openKafkaFor(t, kafka.server.bootstrap, { sessionMs })
      await assert.rejects(join(broker, uniqueName('group'), topic), (error) => {
        const { code, message, remedy } = error as TapelineError
        assert.equal(code, 'BROKER_REFUSED')
        assert.match(message, /INVALID_SESSION_TIMEOUT/)
        assert.match(remedy, /broker\.sessionTimeout/)
        return true
      })
    }
    const broker = await openKafkaFor(t, kafka.server.bootstrap, { sessionMs: 90_000 })
    const { member, last } = await join(broker, uniqueName('group'), topic)
    await until('it has the partition', () => last().length === 1)
    await member.leave()
  })

  test("Kafka's own tool shows members, positions and lag", async (t) => {
    const broker = await openKafkaFor(t, kafka.server.bootstrap)
    const [topic, group] = [await makeTopic(broker, 1), uniqueName('group')]
    const records = Array.from({ length: 10 }, (_, i) => ({
      key: 'k',
      value: Buffer.from(String(i)),
      headers: { v: 1, kind: 'event' } as const,
    }))
    await broker.publish([{ topic, partition: 0, records }], deadline())
    const { member, last } = await join(broker, group, topic)
    await until('it has the partition', () => last().length === 1)
    await member.commit([{ topic, partition: 0, offset: 7 }], deadline())
    const args = ['--bootstrap-server', kafka.server.bootstrap, '--describe', '--group', group]
    const output = await kafkaTool('org.apache.kafka.tools.consumer.group.ConsumerGroupCommand', args)
    const line = output.split('\n').find((each) => each.includes(topic)) ?? output
    assert.match(line, new RegExp(`${group}\\s+${topic}\\s+0\\s+7\\s+10\\s+3\\s+tapeline-test`))
    await member.leave()
  })
})
