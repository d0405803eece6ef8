import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import {
  type LogChannel,
  openDirectChannel,
  openWorkerChannel,
} from '../../../src/adapters/broker/embedded/channel.ts'
import { EmbeddedBroker } from '../../../src/adapters/broker/embedded/embedded-broker.ts'
import { holdPolls } from '../../../src/adapters/broker/embedded/held-polls.ts'
import type { Broker, Reader } from '../../../src/ports/broker.ts'
import { seededRandom } from '../../../src/simulator/random.ts'
import { deadline, makeTopic, recordsOf, textOf, textRecord } from '../../contract/broker-fixtures.ts'
import { quietLog } from '../../quiet.ts'
import { SEED } from '../../seed.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** A broker, and what is sent to its log. */
function openWatched(t: TestContext): { readonly broker: Broker; readonly sent: string[] } {
  const channel = openDirectChannel({ path: ':memory:', durability: 'process' })
  const sent: string[] = []
  const post: typeof channel.post = (request, transfer) => {
    sent.push(request.op)
    channel.post(request, transfer)
  }
  return { broker: openOn(t, holdPolls({ ...channel, post })), sent }
}

function openOn(t: TestContext, channel: LogChannel): Broker {
  const options = { channel, now: Date.now, cleanEveryMs: undefined, log: quietLog }
  const broker = new EmbeddedBroker({ ...options, onClosed() {} })
  t.after(() => broker.close())
  return broker
}

async function openReader(broker: Broker, topic: string): Promise<Reader> {
  const reader = await broker.openReader(deadline())
  await reader.assign([{ topic, partition: 0, offset: 0 }], deadline())
  return reader
}

async function publish(broker: Broker, topic: string, text: string): Promise<void> {
  await broker.publish([{ topic, partition: 0, records: [textRecord(text)] }], deadline())
}

const LONG = { maxRecords: 100, waitMs: 600_000 }

test('a poll that was given up while it waited is answered too, so that nothing is kept of it', async (t) => {
  const channel = openDirectChannel({ path: ':memory:', durability: 'process' })
  const polls: number[] = []
  const answered = new Set<number>()
  const broker = openOn(t, {
    ...channel,
    post(request, transfer) {
      if (request.op === 'poll') polls.push(request.id)
      channel.post(request, transfer)
    },
    listen: (onReply, onEnd) =>
      channel.listen((reply) => {
        answered.add(reply.id)
        onReply(reply)
      }, onEnd),
  })
  const topic = await makeTopic(broker)
  const reader = await openReader(broker, topic)
  for (let round = 0; round < 3; round++) {
    const stop = new AbortController()
    const given = reader.poll(LONG, stop.signal)
    await broker.ping(deadline())
    stop.abort()
    await assert.rejects(given, { name: 'AbortError' })
  }
  await publish(broker, topic, 'a')
  assert.deepEqual(recordsOf(await reader.poll(LONG, deadline())).map(textOf), ['a'])
  assert.deepEqual([polls.length, polls.filter((id) => !answered.has(id))], [4, []])
})

test('a reader that has read everything is not asked for until something comes', async (t) => {
  const { broker, sent } = openWatched(t)
  const topic = await makeTopic(broker)
  const reader = await openReader(broker, topic)
  await publish(broker, topic, 'a')
  assert.deepEqual(recordsOf(await reader.poll(LONG, deadline())).map(textOf), ['a'])
  sent.length = 0
  assert.deepEqual(await reader.poll({ maxRecords: 100, waitMs: 20 }, deadline()), [])
  const stop = new AbortController()
  const given = reader.poll(LONG, stop.signal)
  stop.abort()
  await assert.rejects(given, { name: 'AbortError' })
  const waiting = reader.poll(LONG, deadline())
  await delay(1)
  assert.deepEqual(sent, [])
  await publish(broker, topic, 'b')
  assert.deepEqual(recordsOf(await waiting).map(textOf), ['b'])
  assert.deepEqual(sent, ['poll', 'append'])
  const last = reader.poll(LONG, deadline())
  await reader.close(deadline())
  assert.deepEqual(await last, [], 'closing ends the wait')
})

test('what others read wakes nobody: a poll is sent only where its own topics are written', async (t) => {
  const { broker, sent } = openWatched(t)
  const [own, other] = [await makeTopic(broker), await makeTopic(broker)]
  const reader = await openReader(broker, own)
  assert.deepEqual(await reader.poll({ maxRecords: 100, waitMs: 1 }, deadline()), [])
  sent.length = 0
  const waiting = reader.poll(LONG, deadline())
  await publish(broker, other, 'a')
  await broker.describeTopics([own], deadline())
  assert.deepEqual(sent, ['append', 'describeTopics'])
  await publish(broker, own, 'b')
  assert.deepEqual(recordsOf(await waiting).map(textOf), ['b'])
  assert.deepEqual(sent, ['append', 'describeTopics', 'poll', 'append'])

  sent.length = 0
  const both = reader.poll(LONG, deadline())
  await reader.assign([{ topic: other, partition: 0, offset: 0 }], deadline())
  assert.deepEqual(recordsOf(await both).map(textOf), ['a'], 'what it is given to read meanwhile')
  const again = reader.poll({ maxRecords: 100, waitMs: 1 }, deadline())
  assert.deepEqual(await again, [])
  const last = reader.poll(LONG, deadline())
  await publish(broker, other, 'c')
  assert.deepEqual(recordsOf(await last).map(textOf), ['c'])
  await reader.unassign([{ topic: other, partition: 0 }], deadline())
  assert.deepEqual(await reader.poll({ maxRecords: 100, waitMs: 1 }, deadline()), [])
  sent.length = 0
  const stop = new AbortController()
  const quiet = reader.poll(LONG, stop.signal)
  await publish(broker, other, 'd')
  stop.abort()
  await assert.rejects(quiet, { name: 'AbortError' })
  assert.deepEqual(sent, ['append'])
  await broker.deleteTopics(await broker.describeTopics([own], deadline()), deadline())
  assert.deepEqual(await reader.poll(LONG, deadline()), [{ kind: 'deleted', topic: own }])
})

test(`whatever is published while readers ask (seed ${SEED}) reaches all of them`, async (t) => {
  const path = join(await temporaryFolder(t), 'broker.db')
  const broker = openOn(t, await openWorkerChannel({ path, durability: 'process' }))
  const random = seededRandom(String(SEED))
  const topics = [await makeTopic(broker), await makeTopic(broker)]
  const expected = Array.from({ length: 150 }, (_, i) => String(i))
  const pause = async (): Promise<void> => {
    if (random() < 0.5) await delay(Math.floor(random() * 4))
  }
  const read = async (topic: string): Promise<(string | null)[]> => {
    const reader = await openReader(broker, topic)
    const found: (string | null)[] = []
    while (found.length < expected.length) {
      const maxRecords = 1 + Math.floor(random() * 3)
      found.push(...recordsOf(await reader.poll({ maxRecords, waitMs: 600_000 }, deadline())).map(textOf))
      await pause()
    }
    return found
  }
  const write = async (topic: string): Promise<void> => {
    for (const text of expected) {
      const written = publish(broker, topic, text)
      if (random() < 0.5) await written
      await pause()
    }
  }
  const readers = topics.flatMap((topic) => [read(topic), read(topic)])
  await Promise.all(topics.map(write))
  for (const reader of readers) assert.deepEqual(await reader, expected)
})
