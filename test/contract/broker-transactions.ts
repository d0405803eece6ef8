import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  deadline,
  makeTopic,
  type OpenBroker,
  openFor,
  pollUntil,
  readToEnd,
  recordsOf,
  textOf,
  textRecord,
  uniqueName,
} from './broker-fixtures.ts'

export function describeTransactions(open: OpenBroker): void {
  test('a commit writes to several topics, or to none', async (t) => {
    const broker = await openFor(t, open)
    const [a, b] = [await makeTopic(broker), await makeTopic(broker, 2)]
    const writer = await broker.takeOver(uniqueName('id'), deadline())
    const entries = [
      { topic: b, partition: 1, records: [textRecord('b0', 'k'), textRecord('b1', 'k')] },
      { topic: a, partition: 0, records: [textRecord('a0', 'k')] },
    ]
    const acks = await writer.commit(entries, deadline())
    assert.deepEqual(acks, [
      { topic: b, partition: 1, baseOffset: 0 },
      { topic: a, partition: 0, baseOffset: 0 },
    ])
    const unknown = { topic: uniqueName(), partition: 0, records: [textRecord('x')] }
    await assert.rejects(writer.commit([...entries, unknown], deadline()), { code: 'TOPIC_UNKNOWN' })
    await assert.rejects(writer.commit(entries, AbortSignal.abort()), { name: 'AbortError' })
    assert.deepEqual((await readToEnd(broker, a)).map(textOf), ['a0'])
    assert.deepEqual((await readToEnd(broker, b, 1)).map(textOf), ['b0', 'b1'])
    await writer.close()
    await assert.rejects(writer.commit(entries, deadline()), { code: 'SHUTTING_DOWN' })
  })

  test('who takes an id over fences all that held it, and nobody else', async (t) => {
    const broker = await openFor(t, open)
    const topic = await makeTopic(broker)
    const [id, otherId] = [uniqueName('id'), uniqueName('id')]
    const commit = async (writer: Awaited<ReturnType<typeof broker.takeOver>>, text: string) =>
      writer.commit([{ topic, partition: 0, records: [textRecord(text)] }], deadline())
    const first = await broker.takeOver(id, deadline())
    const other = await broker.takeOver(otherId, deadline())
    await commit(first, 'first')
    const second = await broker.takeOver(id, deadline())
    await assert.rejects(commit(first, 'fenced'), { code: 'FENCED' })
    await commit(second, 'second')
    const third = await broker.takeOver(id, deadline())
    for (const former of [first, second]) await assert.rejects(commit(former, 'fenced'), { code: 'FENCED' })
    await commit(third, 'third')
    await commit(other, 'other')
    assert.deepEqual((await readToEnd(broker, topic)).map(textOf), ['first', 'second', 'third', 'other'])
    await Promise.all([first, second, third, other].map((writer) => writer.close()))
  })

  test('offsets of successive commits rise, and readers get all of them', async (t) => {
    const broker = await openFor(t, open)
    const topic = await makeTopic(broker)
    const writer = await broker.takeOver(uniqueName('id'), deadline())
    const reader = await broker.openReader(deadline())
    await reader.assign([{ topic, partition: 0, offset: 0 }], deadline())
    let previous = -1
    const expected: [number, string][] = []
    for (let round = 0; round < 5; round++) {
      const records = [textRecord(`${round}a`), textRecord(`${round}b`)]
      const [ack] = await writer.commit([{ topic, partition: 0, records }], deadline())
      assert.ok(ack !== undefined && ack.baseOffset > previous)
      expected.push([ack.baseOffset, `${round}a`], [ack.baseOffset + 1, `${round}b`])
      previous = ack.baseOffset + 1
    }
    const fetches = await pollUntil(reader, (all) => recordsOf(all).length >= expected.length)
    assert.deepEqual(
      recordsOf(fetches).map((record) => [record.offset, textOf(record)]),
      expected,
    )
    await Promise.all([reader.close(deadline()), writer.close()])
  })
}
