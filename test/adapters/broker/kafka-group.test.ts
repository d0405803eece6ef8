import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { Admin, Consumer } from '@platformatic/kafka'
import type { TapelineError } from '../../../src/errors.ts'
import { deadline, makeTopic, uniqueName, until } from '../../contract/broker-fixtures.ts'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing } from '../../servers/kafka.ts'
import { type SharedKafka, shareKafka } from '../../servers/shared.ts'
import { openKafkaFor } from './kafka-fixtures.ts'
import { committed, join, joinBehind, total } from './kafka-members.ts'

describe('groups on Kafka', requireServer(kafkaMissing()), () => {
  let kafka: SharedKafka
  before(async () => {
    kafka = await shareKafka()
  })
  after(() => kafka.close())

  test('who keeps its partitions does not hear of a new distribution, and nobody has one twice', async (t) => {
    const broker = await openKafkaFor(t, kafka.bootstrap)
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
    const broker = await openKafkaFor(t, kafka.bootstrap)
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

  test('the session timeout is what the settings say; one that the broker does not take is refused', async (t) => {
    const topic = await makeTopic(await openKafkaFor(t, kafka.bootstrap))
    for (const sessionMs of [5_000, 3_600_000]) {
      const broker = await openKafkaFor(t, kafka.bootstrap, { sessionMs })
      await assert.rejects(join(broker, uniqueName('group'), topic), (error) => {
        const { code, message, remedy } = error as TapelineError
        assert.equal(code, 'BROKER_REFUSED')
        assert.match(message, /INVALID_SESSION_TIMEOUT/)
        assert.match(remedy, /broker\.sessionTimeout/)
        return true
      })
    }
    const broker = await openKafkaFor(t, kafka.bootstrap, { sessionMs: 90_000 })
    const { member, last } = await join(broker, uniqueName('group'), topic)
    await until('it has the partition', () => last().length === 1)
    await member.leave()
  })

  /** A member that says how it distributes partitions. */
  const joinAs = async (t: TestContext, group: string, protocol: string): Promise<void> => {
    const consumer = new Consumer({ clientId: 'other', bootstrapBrokers: [kafka.bootstrap], groupId: group })
    t.after(() => consumer.close(true))
    // It asks to join again, in vain, when it hears that it was removed.
    consumer.on('error', () => undefined)
    await consumer.joinGroup({ protocols: [{ name: protocol, version: 1 }] })
  }
  const membersOf = async (t: TestContext, group: string): Promise<string[]> => {
    const admin = new Admin({ clientId: 'observer', bootstrapBrokers: [kafka.bootstrap] })
    t.after(() => admin.close())
    const found = (await admin.describeGroups({ groups: [group] })).get(group)
    return [...(found?.members.values() ?? [])].map(({ clientId }) => clientId ?? '')
  }

  test('builds that pass over what they do not understand are removed, and not taken in beside one of this build', async (t) => {
    const broker = await openKafkaFor(t, kafka.bootstrap)
    const [topic, group] = [await makeTopic(broker, 2), uniqueName('group')]
    const earlier = 'tapeline-cooperative'
    await joinAs(t, group, earlier)
    const { member, last } = await join(broker, group, topic)
    await until('it has all', () => last().length === 2)
    await assert.rejects(joinAs(t, group, earlier))
    assert.deepEqual(await membersOf(t, group), ['tapeline-test'])
    await member.leave()
    await joinAs(t, group, earlier)
  })

  test('a member that is another program is left in its group', async (t) => {
    const broker = await openKafkaFor(t, kafka.bootstrap)
    const [topic, group] = [await makeTopic(broker), uniqueName('group')]
    await joinAs(t, group, 'roundrobin')
    await assert.rejects(join(broker, group, topic), { code: 'BROKER_REFUSED' })
    assert.deepEqual(await membersOf(t, group), ['other'])
  })

  test("any client of Kafka sees a group's member, its partition and its position", async (t) => {
    const broker = await openKafkaFor(t, kafka.bootstrap)
    const { member, group, topic } = await joinBehind(broker)
    const admin = new Admin({ clientId: 'other', bootstrapBrokers: [kafka.bootstrap] })
    t.after(() => admin.close())
    const found = (await admin.describeGroups({ groups: [group] })).get(group)
    assert.ok(found)
    assert.deepEqual(
      [...found.members.values()].map(({ clientId, assignments }) => [
        clientId,
        [...(assignments?.values() ?? [])],
      ]),
      [['tapeline-test', [{ topic, partitions: [0] }]]],
    )
    assert.equal(await committed(kafka.bootstrap, group, topic), 7)
    await member.leave()
  })
})
