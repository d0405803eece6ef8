import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openEmbeddedBroker } from '../../src/adapters/broker/embedded.ts'
import type { ControlBus } from '../../src/control/bus.ts'
import { joinMembership } from '../../src/control/membership.ts'
import { readRanges } from '../../src/control/read-range.ts'
import type { Broker } from '../../src/ports/broker.ts'
import { quietLog } from '../quiet.ts'

const NEVER = new AbortController().signal

test('who is there can be asked without a look at what each subscription of this process reads', () => {
  const bus: Pick<ControlBus, 'on' | 'onUnreadable' | 'send'> = {
    on: () => () => {},
    onUnreadable: () => () => {},
    send: async () => {},
  }
  const me = { instance: 'me', roles: ['producer'] } as const
  const membership = joinMembership(bus as ControlBus, { ...me }, () => 0, quietLog)
  let looks = 0
  membership.reading(() => {
    looks++
    return ['lease']
  })
  for (let i = 0; i < 100; i++) assert.equal(membership.live().length, 1)
  assert.equal(looks, 0)
  assert.deepEqual(membership.live()[0]?.reading, ['lease'])
  membership.close()
})

test('a hundred ranges that come to their ends together cost the broker no question each', async (t) => {
  const broker = await openEmbeddedBroker({ folder: ':memory:' })
  t.after(() => broker.close())
  const names = Array.from({ length: 100 }, (_, i) => `topic-${i}`)
  await broker.createTopics(
    names.map((name) => ({ name, partitions: 1 })),
    NEVER,
  )
  const record = { key: null, value: new Uint8Array(1), headers: { v: 1, kind: 'event' } } as const
  const entries = names.map((topic) => ({ topic, partition: 0, records: [record, record] }))
  await broker.publish(entries, NEVER)
  let questions = 0
  const counted: Pick<Broker, 'openReader' | 'describeTopics'> = {
    describeTopics: (...call) => broker.describeTopics(...call),
    async openReader(signal) {
      const reader = await broker.openReader(signal)
      return {
        assign: (...call) => reader.assign(...call),
        unassign: (...call) => {
          questions++
          return reader.unassign(...call)
        },
        poll: (...call) => {
          questions++
          return reader.poll(...call)
        },
        close: (...call) => reader.close(...call),
      }
    },
  }
  let found = 0
  await readRanges(
    counted,
    names.map((topic) => ({ topic, partition: 0, offset: 0, end: 1 })),
    ({ records }) => {
      found += records.length
    },
    NEVER,
  )
  assert.equal(found, 100)
  assert.ok(questions < 20, `${questions} questions`)
})
