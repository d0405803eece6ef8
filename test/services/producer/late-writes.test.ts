import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Broker, PartitionFetch, Reader, StoredRecord } from '../../../src/ports/broker.ts'
import { isOfFormerOwners } from '../../../src/services/producer/late-writes.ts'

const NEVER = new AbortController().signal
const PLACE = { topic: 'market.trades', partition: 0 }

/** A broker whose one partition gives these fetches. */
function brokerOf(...fetches: readonly PartitionFetch[]): Broker {
  const left = [...fetches]
  const reader: Reader = {
    async assign() {},
    async unassign() {},
    async poll() {
      const next = left.shift()
      assert.ok(next, 'nothing more may be read')
      return [next]
    },
    async close() {},
  }
  return { openReader: async () => reader } satisfies Pick<Broker, 'openReader'> as Pick<
    Broker,
    'openReader'
  > as Broker
}

/** Records from offset 10 on, each of an epoch; none where it has none. */
function records(...epochs: readonly (number | undefined)[]): PartitionFetch {
  return {
    ...{ kind: 'records', ...PLACE, topicId: 'id', nextOffset: 10 + epochs.length, endOffset: 99 },
    records: epochs.map(
      (epoch, n): StoredRecord => ({
        ...{ offset: 10 + n, timestamp: 0, key: null, value: null },
        headers: { v: 1, kind: 'event', ...(epoch !== undefined && { shard: 0, epoch }) },
      }),
    ),
  }
}

const range = (end: number) => ({ ...PLACE, offset: 10, end })
const EPOCH = 5

test('records of lower epochs alone were written late by former owners', async () => {
  assert.equal(await isOfFormerOwners(brokerOf(records(4, 3)), range(12), EPOCH, NEVER), true)
  assert.equal(await isOfFormerOwners(brokerOf(records(4), records(3, 4)), range(11), EPOCH, NEVER), true)
})

test('a record of this epoch, of a higher one, or of none tells that another process owns the shard, or may', async () => {
  for (const epoch of [5, 6, undefined])
    assert.equal(await isOfFormerOwners(brokerOf(records(4, epoch)), range(12), EPOCH, NEVER), false)
})

test('what lies after the range is not looked at', async () => {
  assert.equal(await isOfFormerOwners(brokerOf(records(4, 6)), range(11), EPOCH, NEVER), true)
})

test('where a part of the range is gone or cannot be read nobody knows', async () => {
  const truncated: PartitionFetch = { kind: 'truncated', ...PLACE, position: 10, earliest: 11 }
  assert.equal(await isOfFormerOwners(brokerOf(truncated, records(4, 4)), range(12), EPOCH, NEVER), false)
  const undecodable: PartitionFetch = {
    ...{ kind: 'undecodable', ...PLACE, topicId: 'id', offset: 10, nextOffset: 12, endOffset: 99 },
    ...{ bytes: new Uint8Array(), reason: 'its checksum is wrong' },
  }
  assert.equal(await isOfFormerOwners(brokerOf(undecodable), range(12), EPOCH, NEVER), false)
})

test('nothing lies between where nothing is between', async () => {
  assert.equal(await isOfFormerOwners(brokerOf(), range(10), EPOCH, NEVER), false)
})
