import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { PartitionFetch } from '../../src/ports/broker.ts'
import {
  deadline,
  makeTopic,
  type OpenBroker,
  openFor,
  pollUntil,
  recordsOf,
  removeTopics,
  textOf,
  textRecord,
  uniqueName,
  until,
} from './broker-fixtures.ts'

/** A poll that finds something, or waits for it. */
const LONG = { maxRecords: 1_000, waitMs: 20_000 }
/** A poll that does not wait. */
const NOW = { maxRecords: 1_000, waitMs: 0 }

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => textRecord(String(from + index)))

export function describeReaders(open: OpenBroker): void {
  test('a reader starts at any offset, and tells its progress and lag', async (t) => {
    const broker = await openFor(t, open)
    const topic = await makeTopic(broker)
    await broker.publish([{ topic, partition: 0, records: numbered(0, 10) }], deadline())
    await broker.publish([{ topic, partition: 0, records: numbered(10, 20) }], deadline())
    const id = (await broker.listTopics(topic, deadline()))[0]?.id
    const reader = await broker.openReader(deadline())
    for (const offset of [0, 3, 9, 10, 19]) {
      await reader.assign([{ topic, partition: 0, offset }], deadline())
      const fetches = await pollUntil(reader, (all) => recordsOf(all).length >= 20 - offset)
      assert.deepEqual(
        recordsOf(fetches).map((record) => [record.offset, textOf(record)]),
        numbered(offset, 20).map((_, index) => [offset + index, String(offset + index)]),
      )
      const last = fetches.at(-1)
      assert.ok(last?.kind === 'records')
      assert.deepEqual([last.topicId, last.nextOffset, last.endOffset], [id, 20, 20])
    }
    await reader.assign([{ topic, partition: 0, offset: 20 }], deadline())
    assert.deepEqual(await reader.poll(NOW, deadline()), [])
    await reader.close(deadline())
  })

  test('a waiting poll is woken by a record, and holds up nothing else', async (t) => {
    const broker = await openFor(t, open)
    const [topic, other] = [await makeTopic(broker, 3), await makeTopic(broker)]
    const reader = await broker.openReader(deadline())
    await reader.assign(
      [0, 1, 2].map((partition) => ({ topic, partition, offset: 0 })),
      deadline(),
    )
    for (let round = 0; round < 20; round++) {
      const polling = reader.poll(LONG, deadline())
      await broker.publish([{ topic: other, partition: 0, records: [textRecord('other')] }], deadline())
      await broker.publish([{ topic, partition: round % 3, records: [textRecord(`${round}`)] }], deadline())
      const fetches = await polling
      assert.deepEqual(recordsOf(fetches).map(textOf), [`${round}`])
    }
    await reader.close(deadline())
  })

  test('a poll that finds nothing ends empty', async (t) => {
    const broker = await openFor(t, open)
    const topic = await makeTopic(broker)
    const reader = await broker.openReader(deadline())
    assert.deepEqual(await reader.poll({ maxRecords: 10, waitMs: 5 }, deadline()), [])
    await reader.assign([{ topic, partition: 0, offset: 0 }], deadline())
    assert.deepEqual(await reader.poll({ maxRecords: 10, waitMs: 5 }, deadline()), [])
    await reader.close(deadline())
  })

  test('partitions are added, moved and taken away during a poll', async (t) => {
    const broker = await openFor(t, open)
    const [a, b] = [await makeTopic(broker), await makeTopic(broker)]
    for (const topic of [a, b]) {
      await broker.publish([{ topic, partition: 0, records: numbered(0, 3) }], deadline())
    }
    const reader = await broker.openReader(deadline())
    const added = reader.poll(LONG, deadline())
    await reader.assign([{ topic: a, partition: 0, offset: 1 }], deadline())
    assert.deepEqual(recordsOf(await added).map(textOf), ['1', '2'])
    const moved = reader.poll(LONG, deadline())
    await reader.assign([{ topic: a, partition: 0, offset: 0 }], deadline())
    assert.deepEqual(recordsOf(await moved).map(textOf), ['0', '1', '2'])

    await reader.unassign([{ topic: a, partition: 0 }], deadline())
    const only = reader.poll(LONG, deadline())
    await broker.publish([{ topic: a, partition: 0, records: [textRecord('not seen')] }], deadline())
    await reader.assign([{ topic: b, partition: 0, offset: 2 }], deadline())
    assert.deepEqual(recordsOf(await only).map(textOf), ['2'])
    await reader.close(deadline())
  })

  test('a topic that does not exist cannot be assigned', async (t) => {
    const broker = await openFor(t, open)
    const topic = await makeTopic(broker)
    await broker.publish([{ topic, partition: 0, records: [textRecord('x')] }], deadline())
    const reader = await broker.openReader(deadline())
    const known = { topic, partition: 0, offset: 0 }
    for (const unknown of [
      { topic: uniqueName(), partition: 0, offset: 0 },
      { topic, partition: 1, offset: 0 },
    ]) {
      await assert.rejects(reader.assign([known, unknown], deadline()), { code: 'TOPIC_UNKNOWN' })
    }
    assert.deepEqual(await reader.poll(NOW, deadline()), [])
    await reader.close(deadline())
  })

  test('no partition starves another', async (t) => {
    const broker = await openFor(t, open)
    const [busy, quiet] = [await makeTopic(broker, 2), await makeTopic(broker)]
    for (let batch = 0; batch < 40; batch++) {
      await broker.publish(
        [0, 1].map((partition) => ({ topic: busy, partition, records: numbered(0, 500) })),
        deadline(),
      )
    }
    const reader = await broker.openReader(deadline())
    await reader.assign(
      [
        { topic: busy, partition: 0, offset: 0 },
        { topic: busy, partition: 1, offset: 0 },
        { topic: quiet, partition: 0, offset: 0 },
      ],
      deadline(),
    )
    await broker.publish([{ topic: quiet, partition: 0, records: [textRecord('first')] }], deadline())
    const seen = new Map<string, number>()
    await pollUntil(
      reader,
      (all) => {
        for (const fetch of all) {
          if (fetch.kind === 'records') seen.set(`${fetch.topic}:${fetch.partition}`, fetch.nextOffset)
        }
        return seen.has(`${quiet}:0`)
      },
      500,
    )
    // Each had its turns: neither of the busy ones is far ahead of the other.
    const [first, second] = [seen.get(`${busy}:0`) ?? 0, seen.get(`${busy}:1`) ?? 0]
    assert.ok(first < 15_000 && second < 15_000, `read ${first} and ${second} before the quiet topic`)
    await reader.close(deadline())
  })

  test('an aborted poll loses nothing', async (t) => {
    const broker = await openFor(t, open)
    const topic = await makeTopic(broker, 2)
    const reader = await broker.openReader(deadline())
    await reader.assign(
      [0, 1].map((partition) => ({ topic, partition, offset: 0 })),
      deadline(),
    )
    await assert.rejects(reader.poll(LONG, AbortSignal.abort()), { name: 'AbortError' })
    const seen = [[], []] as string[][]
    const take = (fetches: readonly PartitionFetch[]) => {
      for (const fetch of fetches) {
        if (fetch.kind === 'records') {
          seen[fetch.partition]?.push(...fetch.records.map((record) => textOf(record) ?? ''))
        }
      }
    }
    const rounds = 100
    for (let round = 0; round < rounds; round++) {
      const abort = new AbortController()
      const polling = reader.poll(LONG, abort.signal)
      const outcome = polling.then(take, (error) => assert.equal(error.name, 'AbortError'))
      const publishing = broker.publish(
        [{ topic, partition: round % 2, records: numbered(round, round + 1) }],
        deadline(),
      )
      // The abort races with the answer: before, while and after it is under way.
      if (round % 3 > 0) await publishing
      if (round % 3 > 1) await Promise.race([outcome, new Promise(setImmediate)])
      abort.abort()
      await Promise.all([publishing, outcome])
    }
    while (seen.flat().length < rounds) take(await reader.poll(LONG, deadline()))
    for (const partition of [0, 1]) {
      const expected = numbered(0, rounds).map((_, index) => String(index))
      assert.deepEqual(
        seen[partition],
        expected.filter((text) => Number(text) % 2 === partition),
      )
    }
    await reader.close(deadline())
  })

  test('a deleted topic is told and dropped, and the others go on', async (t) => {
    const broker = await openFor(t, open)
    const [gone, stays] = [await makeTopic(broker, 2), await makeTopic(broker)]
    const reader = await broker.openReader(deadline())
    await reader.assign(
      [
        { topic: gone, partition: 0, offset: 0 },
        { topic: gone, partition: 1, offset: 0 },
        { topic: stays, partition: 0, offset: 0 },
      ],
      deadline(),
    )
    // Where the abort comes while the answer is on its way, the next poll has to tell it.
    const abort = new AbortController()
    const polling = reader.poll(LONG, abort.signal)
    const early = polling.catch((error: Error) => {
      assert.equal(error.name, 'AbortError')
      return []
    })
    await removeTopics(broker, [gone])
    abort.abort()
    const fetches = [...(await early)]
    if (fetches.length === 0) {
      fetches.push(...(await pollUntil(reader, (all) => all.some(({ kind }) => kind === 'deleted'))))
    }
    assert.deepEqual(
      fetches.filter(({ kind }) => kind !== 'records'),
      [{ kind: 'deleted', topic: gone }],
    )
    await broker.publish([{ topic: stays, partition: 0, records: [textRecord('on')] }], deadline())
    assert.deepEqual(recordsOf(await pollUntil(reader, (all) => recordsOf(all).length > 0)).map(textOf), [
      'on',
    ])
    await reader.close(deadline())
  })

  test('a position beyond the end is told, and reading goes on from the end', async (t) => {
    const broker = await openFor(t, open)
    const topic = await makeTopic(broker)
    await broker.publish([{ topic, partition: 0, records: numbered(0, 2) }], deadline())
    const reader = await broker.openReader(deadline())
    await reader.assign([{ topic, partition: 0, offset: 7 }], deadline())
    const [fetch] = await pollUntil(reader, (all) => all.length > 0)
    assert.deepEqual(fetch, { kind: 'truncated', topic, partition: 0, position: 7, earliest: 2 })
    await broker.publish([{ topic, partition: 0, records: numbered(2, 3) }], deadline())
    assert.deepEqual(recordsOf(await pollUntil(reader, (all) => recordsOf(all).length > 0)).map(textOf), [
      '2',
    ])
    await reader.close(deadline())
  })

  test('what is told of a partition stands between the records before it and those after it', async (t) => {
    const broker = await openFor(t, open)
    const topic = await makeTopic(broker)
    const [reader, witness] = [await broker.openReader(deadline()), await broker.openReader(deadline())]
    await witness.assign([{ topic, partition: 0, offset: 0 }], deadline())
    for (let end = 0; end < 30; ) {
      // The reader stands beyond the end; what is written meanwhile comes after the word of that.
      await reader.assign([{ topic, partition: 0, offset: end + 100 }], deadline())
      for (let n = 0; n < 3; n++, end += 2)
        await broker.publish([{ topic, partition: 0, records: numbered(end, end + 2) }], deadline())
      // Whoever reads ahead has had the time to read all of it by now.
      await pollUntil(witness, (all) => recordsOf(all).length === 6)
      let next: number | undefined
      await pollUntil(reader, (all) => {
        next = undefined
        for (const fetch of all) {
          if (fetch.kind === 'truncated') {
            assert.equal(next, undefined, 'it is told once')
            next = fetch.earliest
          } else if (fetch.kind === 'records') {
            assert.equal(fetch.records[0]?.offset, next, all.map(({ kind }) => kind).join(', '))
            next = fetch.nextOffset
          }
        }
        return next === end
      })
    }
    await Promise.all([reader.close(deadline()), witness.close(deadline())])
  })

  test('a batch that nobody can read is told in its place, and keeps nothing else from its reader', async (t) => {
    const { broker, close, spoil } = await open()
    t.after(close)
    if (spoil === undefined) {
      t.skip('this log lies on no disk')
      return
    }
    const topic = await makeTopic(broker, 2)
    const texts = ['first', 'second', 'spoilt', 'third', 'fourth']
    for (const text of texts)
      await broker.publish(
        [{ topic, partition: 0, records: [textRecord(text), textRecord(`${text}!`)] }],
        deadline(),
      )
    await broker.publish([{ topic, partition: 1, records: numbered(0, 3) }], deadline())
    await spoil(topic, 0, 'spoilt')
    const [description] = await broker.describeTopics([topic], deadline())
    const reader = await broker.openReader(deadline())
    for (let time = 0; time < 2; time++) {
      await reader.assign(
        [0, 1].map((partition) => ({ topic, partition, offset: 0 })),
        deadline(),
      )
      const fetches = await pollUntil(reader, (all) => recordsOf(all).length >= 11)
      const of = (partition: number) =>
        fetches.filter((fetch) => fetch.kind !== 'deleted' && fetch.partition === partition)
      assert.deepEqual(recordsOf(of(1)).map(textOf), ['0', '1', '2'])
      const told = of(0).flatMap((fetch): (number | string)[] =>
        fetch.kind === 'records' ? fetch.records.map(({ offset }) => offset) : [fetch.kind],
      )
      assert.deepEqual(told, [0, 1, 2, 3, 'undecodable', 6, 7, 8, 9])
      const found = fetches.find((fetch) => fetch.kind === 'undecodable')
      assert.ok(found?.kind === 'undecodable')
      const { bytes, reason, ...place } = found
      const topicId = description?.id
      assert.deepEqual(place, {
        ...{ kind: 'undecodable', topic, topicId, partition: 0, offset: 4, nextOffset: 6, endOffset: 10 },
      })
      assert.match(reason, /checksum|format/)
      assert.ok(Buffer.from(bytes).includes('poilt!'), 'the bytes are those of the batch')
    }
    // From after it, and from within it.
    await reader.assign([{ topic, partition: 0, offset: 6 }], deadline())
    const rest = await pollUntil(reader, (all) => recordsOf(all).length >= 4)
    assert.deepEqual(
      rest.map(({ kind }) => kind).filter((kind) => kind !== 'records'),
      [],
    )
    await reader.assign([{ topic, partition: 0, offset: 5 }], deadline())
    const [within] = await pollUntil(reader, (all) => recordsOf(all).length >= 4)
    assert.ok(within?.kind === 'undecodable')
    assert.deepEqual([within.offset, within.nextOffset], [5, 6])
    await reader.close(deadline())
  })

  test('a closed reader refuses, others go on', async (t) => {
    const broker = await openFor(t, open)
    const topic = await makeTopic(broker)
    const [closed, other] = [await broker.openReader(deadline()), await broker.openReader(deadline())]
    await other.assign([{ topic, partition: 0, offset: 0 }], deadline())
    const polling = other.poll(LONG, deadline())
    await closed.close(deadline())
    await closed.close(deadline())
    await assert.rejects(closed.poll(NOW, deadline()), { code: 'SHUTTING_DOWN' })
    await assert.rejects(closed.assign([], deadline()), { code: 'SHUTTING_DOWN' })
    await broker.publish([{ topic, partition: 0, records: [textRecord('x')] }], deadline())
    assert.deepEqual(recordsOf(await polling).map(textOf), ['x'])
    await other.close(deadline())
  })

  test('an abort ends opening, assigning and closing a reader, and leaves nothing half done', async (t) => {
    const broker = await openFor(t, open)
    const topic = await makeTopic(broker)
    await broker.publish([{ topic, partition: 0, records: [textRecord('x')] }], deadline())
    const aborted = AbortSignal.abort()
    await assert.rejects(broker.openReader(aborted), { name: 'AbortError' })
    const reader = await broker.openReader(deadline())
    const position = { topic, partition: 0, offset: 0 }
    await assert.rejects(reader.assign([position], aborted), { name: 'AbortError' })
    assert.deepEqual(await reader.poll(NOW, deadline()), [], 'nothing was assigned')
    await reader.assign([position], deadline())
    await assert.rejects(reader.unassign([position], aborted), { name: 'AbortError' })
    assert.deepEqual(recordsOf(await pollUntil(reader, (all) => all.length > 0)).map(textOf), ['x'])
    // It closes all the same; the second call waits for that.
    await reader.close(aborted)
    await assert.rejects(reader.poll(NOW, deadline()), { code: 'SHUTTING_DOWN' })
    await reader.close(deadline())
  })

  test('readers see every record once and in order, whatever the batches and polls', async (t) => {
    const broker = await openFor(t, open)
    const step = fc.oneof(
      fc.record({
        publish: fc.array(fc.record({ partition: fc.nat(2), count: fc.integer({ min: 0, max: 700 }) }), {
          minLength: 1,
          maxLength: 4,
        }),
      }),
      fc.record({ poll: fc.integer({ min: 1, max: 900 }) }),
      fc.record({ move: fc.nat(2), back: fc.nat(800) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const topic = await makeTopic(broker, 3)
        const reader = await broker.openReader(deadline())
        const next = [0, 0, 0]
        const ends = [0, 0, 0]
        const take = (fetches: readonly PartitionFetch[]) => {
          for (const fetch of fetches) {
            assert.ok(fetch.kind === 'records')
            for (const record of fetch.records) {
              assert.equal(record.offset, next[fetch.partition])
              assert.equal(textOf(record), String(record.offset))
              next[fetch.partition] = record.offset + 1
            }
          }
        }
        await reader.assign(
          [0, 1, 2].map((partition) => ({ topic, partition, offset: 0 })),
          deadline(),
        )
        for (const action of steps) {
          if ('publish' in action) {
            const entries = action.publish.map(({ partition, count }) => {
              const from = ends[partition] ?? 0
              ends[partition] = from + count
              return { topic, partition, records: numbered(from, from + count) }
            })
            await broker.publish(entries, deadline())
          } else if ('poll' in action) {
            take(await reader.poll({ maxRecords: action.poll, waitMs: 0 }, deadline()))
          } else {
            const offset = Math.max(0, (next[action.move] ?? 0) - action.back)
            next[action.move] = offset
            await reader.assign([{ topic, partition: action.move, offset }], deadline())
          }
        }
        await until('everything is read', async () => {
          take(await reader.poll(NOW, deadline()))
          return next.every((offset, partition) => offset === ends[partition])
        })
        await reader.close(deadline())
        await removeTopics(broker, [topic])
      }),
      // Without shrinking, which would take minutes when a run waits in vain.
      { numRuns: 25, endOnFailure: true },
    )
  })
}
