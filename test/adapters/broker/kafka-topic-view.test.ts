import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TopicView } from '../../../src/adapters/broker/kafka/topic-view.ts'
import { assertLevel } from '../../leaks/level.ts'

const HOUR = 3_600_000

/** What a broker says of a topic with one partition. */
const topic = (name: string) => ({
  ...{ errorCode: 0, name, topicId: `id of ${name}`, isInternal: false, topicAuthorizedOperations: 0 },
  partitions: [
    {
      ...{ errorCode: 0, partitionIndex: 0, leaderId: 1, leaderEpoch: 1 },
      ...{ replicaNodes: [1], isrNodes: [1], offlineReplicas: [] },
    },
  ],
})

/** Topics come and go in the cluster, 100 an hour, for so many hours; nobody tells this process of their end. */
function pass(view: TopicView, clock: { now: number }, hours: number): void {
  for (let n = 0; n < hours; n++) {
    const hour = clock.now / HOUR
    for (let n = 0; n < 100; n++) view.update([topic(`app.${hour}.${n}`)])
    assert.notEqual(view.known('trades'), undefined, `a topic in use is forgotten in hour ${hour}`)
    clock.now += HOUR
  }
}

test('topics that others delete leave nothing, and those in use stay', async () => {
  const clock = { now: 0 }
  const view = new TopicView(() => clock.now)
  view.update([topic('trades')])
  await assertLevel(() => pass(view, clock, 250), { mostBytes: 500_000, what: '25,000 topics that went' })
  assert.equal(view.known('app.0.0'), undefined)
})
