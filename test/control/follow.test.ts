import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openEmbeddedBroker } from '../../src/adapters/broker/embedded.ts'
import { followTopic } from '../../src/control/follow.ts'
import { readRanges } from '../../src/control/read-range.ts'
import { spoilEmbedded } from '../adapters/broker/spoil-embedded.ts'
import { temporaryFolder } from '../adapters/broker/temporary-folder.ts'
import { deadline, makeTopic, textOf, textRecord } from '../contract/broker-fixtures.ts'
import { quietLog } from '../quiet.ts'

test('a follower and a reader of ranges hear of a batch that nobody can read, in its place', async (t) => {
  const folder = await temporaryFolder(t)
  const broker = await openEmbeddedBroker({ folder, log: quietLog })
  t.after(() => broker.close())
  const topic = await makeTopic(broker)
  for (const text of ['a', 'spoilt', 'b', 'c'])
    await broker.publish(
      [{ topic, partition: 0, records: [textRecord(text), textRecord(`${text}!`)] }],
      deadline(),
    )
  spoilEmbedded(folder, 'spoilt')

  const followed: (string | null)[] = []
  const follower = await followTopic(
    broker,
    topic,
    0,
    (record) => followed.push(textOf(record)),
    quietLog,
    ({ offset, nextOffset }) => {
      followed.push(`${offset} to ${nextOffset - 1}`)
      throw new Error('what a handler throws stops nothing')
    },
  )
  await follower.reached(8, deadline())
  assert.deepEqual(followed, ['a', 'a!', '2 to 3', 'b', 'b!', 'c', 'c!'])
  await follower.close()

  const ranges = [
    { end: 8, expected: ['a', 'a!', '2 to 3', 'b', 'b!', 'c', 'c!'] },
    { end: 3, expected: ['a', 'a!', '2 to 3'] },
    { end: 2, expected: ['a', 'a!'] },
  ]
  for (const { end, expected } of ranges) {
    const found: (string | null)[] = []
    await readRanges(
      broker,
      [{ topic, partition: 0, offset: 0, end }],
      ({ records }) => found.push(...records.map(textOf)),
      deadline(),
      () => assert.fail('nothing was removed'),
      ({ offset, nextOffset }) => found.push(`${offset} to ${nextOffset - 1}`),
    )
    assert.deepEqual(found, expected, `up to ${end}`)
  }
})
