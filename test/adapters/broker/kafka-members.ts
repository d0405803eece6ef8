import { Admin } from '@platformatic/kafka'
import type { Broker, GroupMember } from '../../../src/ports/broker.ts'
import { deadline, makeTopic, textRecord, uniqueName, until } from '../../contract/broker-fixtures.ts'

/** One member and all that it was given, call by call, and how often it was told that others may have that. */
export interface Joined {
  readonly member: GroupMember
  readonly all: number[][]
  readonly doubts: () => number
  readonly last: () => number[]
}

export async function join(
  broker: Broker,
  group: string,
  topic: string,
  hearsDoubts = false,
): Promise<Joined> {
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

/** All partitions that members have at present. */
export const total = (...members: readonly Joined[]) =>
  members.flatMap(({ last }) => last()).toSorted((a, b) => a - b)

/** The position that a group has committed for partition 0 of a topic. */
export async function committed(
  bootstrap: string,
  group: string,
  topic: string,
): Promise<number | undefined> {
  const admin = new Admin({ clientId: 'test', bootstrapBrokers: [bootstrap] })
  const groups = await admin.listConsumerGroupOffsets({ groups: [group] })
  await admin.close()
  const [found] = groups.flatMap(({ topics }) => topics.filter(({ name }) => name === topic))
  const offset = found?.partitions.find(({ partitionIndex }) => partitionIndex === 0)?.committedOffset
  return offset === undefined ? undefined : Number(offset)
}

/** How many members the broker takes for alive. */
export async function memberCount(bootstrap: string, group: string): Promise<number> {
  const admin = new Admin({ clientId: 'test', bootstrapBrokers: [bootstrap] })
  const groups = await admin.describeGroups({ groups: [group] })
  await admin.close()
  return groups.get(group)?.members.size ?? 0
}

/** Waits until every member has its answer: who stands still in the middle of a distribution waits for that, and beats no heart. */
export const settled = (bootstrap: string, group: string): Promise<void> =>
  until('the group is distributed', async () => {
    const admin = new Admin({ clientId: 'test', bootstrapBrokers: [bootstrap] })
    const groups = await admin.describeGroups({ groups: [group] })
    await admin.close()
    return groups.get(group)?.state === 'Stable'
  })

/** The only member of a group, which has committed position 7 of a partition with 10 records. */
export async function joinBehind(
  broker: Broker,
): Promise<{ readonly member: GroupMember; readonly group: string; readonly topic: string }> {
  const [topic, group] = [await makeTopic(broker, 1), uniqueName('group')]
  const records = Array.from({ length: 10 }, (_, i) => textRecord(String(i), 'k'))
  await broker.publish([{ topic, partition: 0, records }], deadline())
  const { member, last } = await join(broker, group, topic)
  await until('it has the partition', () => last().length === 1)
  await member.commit([{ topic, partition: 0, offset: 7 }], deadline())
  return { member, group, topic }
}
