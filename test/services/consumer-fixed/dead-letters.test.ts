import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeDeadLetter } from '../../../src/control/dead-letter-records.ts'
import { TapelineError } from '../../../src/errors.ts'
import type { Broker, OutgoingRecord, PartitionRecords } from '../../../src/ports/broker.ts'
import { writeDeadLetters } from '../../../src/services/consumer-fixed/dead-letters.ts'

const NEVER = new AbortController().signal

/** The topic of a broker that takes records of so many bytes. */
function topicOf(mostBytes: number) {
  const stored: OutgoingRecord[] = []
  const publish = async (entries: readonly PartitionRecords[]) => {
    for (const { records } of entries)
      for (const record of records) {
        if ((record.value?.length ?? 0) > mostBytes)
          throw new TapelineError('RECORD_TOO_LARGE', 'larger than the topic takes')
        stored.push(record)
      }
    return []
  }
  return { broker: { publish } as unknown as Broker, stored }
}

const rejected = {
  topic: 'market.trades',
  partition: 2,
  record: {
    key: 'x:A-B',
    value: new Uint8Array(300_000),
    headers: { v: 1, kind: 'event' as const },
    offset: 7,
    timestamp: 1,
  },
  error: new TapelineError('EVENT_UNDECODABLE', 'it is not JSON'),
}

test('a dead letter that its topic does not take is cut, and still says where the record lies', async () => {
  for (const mostBytes of [500_000, 100_000, 2_000]) {
    const { broker, stored } = topicOf(mostBytes)
    await writeDeadLetters(broker, 'tapeline.dead-letters', [rejected], NEVER)
    const [letter] = stored.map((record) => decodeDeadLetter({ ...record, offset: 0, timestamp: 0 }))
    assert.ok(letter && 'bytes' in letter)
    assert.deepEqual(
      [letter.topic, letter.partition, letter.offset, letter.size],
      ['market.trades', 2, 7, 300_000],
    )
    const bytes = Buffer.from(letter.bytes, 'base64').length
    assert.equal(bytes === 300_000, mostBytes === 500_000, `${bytes} of its bytes`)
  }
})

test('one that cannot be written at all is a failure', async () => {
  const { broker } = topicOf(10)
  await assert.rejects(writeDeadLetters(broker, 'tapeline.dead-letters', [rejected], NEVER), {
    code: 'RECORD_TOO_LARGE',
  })
})
