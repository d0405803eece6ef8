import assert from 'node:assert/strict'
import { test } from 'node:test'
import { requireServer } from '../../servers/availability.ts'
import { kafkaMissing, kafkaTool } from '../../servers/kafka.ts'
import { shareKafka } from '../../servers/shared.ts'
import { openKafkaFor } from './kafka-fixtures.ts'
import { joinBehind } from './kafka-members.ts'

test("Kafka's own tool shows members, positions and lag", requireServer(kafkaMissing()), async (t) => {
  const kafka = await shareKafka()
  t.after(() => kafka.close())
  const broker = await openKafkaFor(t, kafka.bootstrap)
  const { member, group, topic } = await joinBehind(broker)
  const args = ['--bootstrap-server', kafka.bootstrap, '--describe', '--group', group]
  const output = await kafkaTool('org.apache.kafka.tools.consumer.group.ConsumerGroupCommand', args)
  const line = output.split('\n').find((each) => each.includes(topic)) ?? output
  assert.match(line, new RegExp(`${group}\\s+${topic}\\s+0\\s+7\\s+10\\s+3\\s+tapeline-test`))
  await member.leave()
})
