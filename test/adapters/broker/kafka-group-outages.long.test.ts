import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Log } from '../../../src/ports/log.ts'
import { deadline, makeTopic, uniqueName, until } from '../../contract/broker-fixtures.ts'
import { quietLog } from '../../quiet.ts'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing } from '../../servers/kafka.ts'
import { openKafkaFor, type ProxiedKafka, startProxiedKafka } from './kafka-fixtures.ts'
import { committed, join, memberCount, settled, total } from './kafka-members.ts'

describe('groups over outages of Kafka', requireServer(kafkaMissing()), () => {
  let kafka: ProxiedKafka
  before(async () => {
    kafka = await startProxiedKafka()
  })
  after(() => kafka.close())

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
    await settled(kafka.server.bootstrap, group)
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

  test('a leader that was away, and is heard before the group is distributed anew, waits for those that were away with it', async (t) => {
    let failedHeartbeats = 0
    const log: Log = {
      ...quietLog,
      child: () => log,
      debug(_, message) {
        if (message === 'a heartbeat failed') failedHeartbeats++
      },
    }
    const near = await openKafkaFor(t, kafka.server.bootstrap, { log })
    const far = await openKafkaFor(t, kafka.through)
    const [topic, group] = [await makeTopic(near, 4), uniqueName('group')]
    const first = await join(near, group, topic)
    const second = await join(far, group, topic, true)
    await until('both have their share', () => first.last().length === 2 && second.last().length === 2)
    await settled(kafka.server.bootstrap, group)
    const [own, others] = [first.last(), second.last()]
    const told = [first.all.length, second.all.length] as const
    kafka.server.pause()
    try {
      await until('the first was away for half a session', () => failedHeartbeats > 0)
      kafka.proxy.cut({ refuse: true })
    } finally {
      kafka.server.resume()
    }
    await until(
      'the group takes the first for alive, and gives up the second',
      async () => (await memberCount(kafka.server.bootstrap, group)) === 1,
    )
    kafka.proxy.accept()
    await until('the second is told what it has', () => second.all.length > told[1])
    assert.deepEqual(
      first.all.slice(told[0]).filter((given) => given.some((each) => others.includes(each))),
      [],
    )
    assert.deepEqual([first.last(), second.last()], [own, others])
    await Promise.all([first, second].map(({ member }) => member.leave()))
  })

  test('a member that is cut off loses its partitions, knows it by itself, and its late commit changes nothing', async (t) => {
    const [near, far] = [await openKafkaFor(t, kafka.server.bootstrap), await openKafkaFor(t, kafka.through)]
    const [topic, group] = [await makeTopic(near, 1), uniqueName('group')]
    const zombie = await join(far, group, topic)
    await until('the zombie has it', () => zombie.last().length === 1)
    await settled(kafka.server.bootstrap, group)
    await zombie.member.commit([{ topic, partition: 0, offset: 10 }], deadline())
    await until(
      'its position is told',
      async () => (await committed(kafka.server.bootstrap, group, topic)) === 10,
    )
    const other = await join(near, group, topic)
    assert.deepEqual(other.last(), [])
    await settled(kafka.server.bootstrap, group)
    kafka.proxy.stall()
    await until('the other has it', () => other.last().length === 1)
    await until('the zombie knows', () => zombie.last().length === 0)
    await other.member.commit([{ topic, partition: 0, offset: 276 }], deadline())
    kafka.proxy.cut()
    kafka.proxy.resume()
    await zombie.member.commit([{ topic, partition: 0, offset: 80 }], deadline())
    assert.equal(await committed(kafka.server.bootstrap, group, topic), 276)
    // It comes back as a member, and the one that has the partition keeps it.
    const calls = other.all.length
    await other.member.leave()
    await until('the former zombie has it again', () => zombie.last().length === 1)
    assert.equal(other.all.length, calls, 'the owner was not disturbed')
    await zombie.member.commit([{ topic, partition: 0, offset: 300 }], deadline())
    await until('and commits', async () => (await committed(kafka.server.bootstrap, group, topic)) === 300)
    await zombie.member.leave()
  })

  test('a broker that is killed and comes back finds its members again', async (t) => {
    const broker = await openKafkaFor(t, kafka.server.bootstrap)
    const [topic, group] = [await makeTopic(broker, 4), uniqueName('group')]
    const members = [await join(broker, group, topic), await join(broker, group, topic)]
    await until('both have their share', () => total(...members).length === 4)
    await settled(kafka.server.bootstrap, group)
    await kafka.server.kill()
    await kafka.server.restart()
    const third = await join(broker, group, topic)
    await until('three share', () => third.last().length === 1 && total(...members, third).length === 4)
    assert.deepEqual(total(...members, third), [0, 1, 2, 3])
    await Promise.all([...members, third].map(({ member }) => member.leave()))
  })
})
