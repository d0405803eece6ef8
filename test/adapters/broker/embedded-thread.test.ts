import assert from 'node:assert/strict'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type LogChannel, openWorkerChannel } from '../../../src/adapters/broker/embedded/channel.ts'
import { EmbeddedBroker } from '../../../src/adapters/broker/embedded/embedded-broker.ts'
import {
  deadline,
  makeTopic,
  pollUntil,
  recordsOf,
  textOf,
  textRecord,
  until,
} from '../../contract/broker-fixtures.ts'
import { quietLog } from '../../quiet.ts'
import { temporaryFolder } from './temporary-folder.ts'

/** A log in a folder whose thread can be ended, as by an error that nobody expected. */
async function openMortal(t: TestContext) {
  const path = join(await temporaryFolder(t), 'broker.db')
  let current: LogChannel | undefined
  const open = async (): Promise<LogChannel> => {
    current = await openWorkerChannel({ path, durability: 'process' })
    return current
  }
  const broker = new EmbeddedBroker({
    ...{ channel: await open(), reopen: open, now: Date.now, cleanEveryMs: undefined, log: quietLog },
    onClosed() {},
  })
  t.after(() => broker.close())
  return { broker, path, die: async () => current?.terminate() }
}

/** Repeats what is refused while the broker is away. */
async function persist<T>(act: () => Promise<T>): Promise<T> {
  let result: T | undefined
  await until('the broker is back', async () => {
    try {
      result = await act()
      return true
    } catch (error) {
      if ((error as { code?: string }).code !== 'BROKER_UNAVAILABLE') throw error
      return false
    }
  })
  return result as T
}

test('a log whose thread has ended is opened again; readers and writers go on where they were', async (t) => {
  const { broker, die } = await openMortal(t)
  const [topic, gone] = [await makeTopic(broker, 2), await makeTopic(broker)]
  const publish = (partition: number, text: string) =>
    broker.publish([{ topic, partition, records: [textRecord(text)] }], deadline())
  const writer = await broker.takeOver('id', deadline())
  const commit = (text: string) =>
    writer.commit([{ topic, partition: 1, records: [textRecord(text)] }], deadline())
  const reader = await broker.openReader(deadline())
  await reader.assign(
    [
      ...[0, 1].map((partition) => ({ topic, partition, offset: 0 })),
      { topic: gone, partition: 0, offset: 0 },
    ],
    deadline(),
  )
  await publish(0, 'a')
  await commit('b')
  assert.equal(recordsOf(await pollUntil(reader, (all) => recordsOf(all).length === 2)).length, 2)

  const polling = reader.poll({ maxRecords: 10, waitMs: 20_000 }, deadline())
  const refused = assert.rejects(polling, { code: 'BROKER_UNAVAILABLE' })
  await die()
  await refused
  await persist(() => publish(0, 'c'))
  await commit('d')
  const [description] = await broker.describeTopics([gone], deadline())
  await broker.deleteTopics([{ name: gone, id: description?.id ?? '' }], deadline())
  const fetches = await pollUntil(
    reader,
    (all) => recordsOf(all).length === 2 && all.some(({ kind }) => kind === 'deleted'),
  )
  assert.deepEqual(recordsOf(fetches).map(textOf).toSorted(), ['c', 'd'])
  assert.deepEqual(
    fetches.filter(({ kind }) => kind === 'deleted'),
    [{ kind: 'deleted', topic: gone }],
  )

  // Fences outlive the thread, on both sides of its end.
  const successor = await broker.takeOver('id', deadline())
  await assert.rejects(commit('late'), { code: 'FENCED' })
  await die()
  await assert.rejects(
    persist(() => commit('later')),
    { code: 'FENCED' },
  )
  await persist(() => successor.commit([{ topic, partition: 1, records: [textRecord('e')] }], deadline()))
  const texts = await pollUntil(reader, (all) => recordsOf(all).length > 0)
  assert.deepEqual(recordsOf(texts).map(textOf), ['e'])
  await reader.close(deadline())
})

test('a log that does not open again is unavailable, and used once it does', async (t) => {
  const { broker, path, die } = await openMortal(t)
  const topic = await makeTopic(broker)
  const reader = await broker.openReader(deadline())
  await reader.assign([{ topic, partition: 0, offset: 0 }], deadline())
  const folder = join(path, '..')
  await die()
  await rename(folder, `${folder}-away`)
  for (let time = 0; time < 3; time++) {
    await assert.rejects(broker.ping(deadline()), { code: 'BROKER_UNAVAILABLE' })
    await assert.rejects(reader.poll({ maxRecords: 1, waitMs: 0 }, deadline()), {
      code: 'BROKER_UNAVAILABLE',
    })
  }
  await rename(`${folder}-away`, folder)
  await persist(() => broker.publish([{ topic, partition: 0, records: [textRecord('x')] }], deadline()))
  const fetches = await pollUntil(reader, (all) => recordsOf(all).length > 0)
  assert.deepEqual(recordsOf(fetches).map(textOf), ['x'])
})

test('a log whose thread has ended closes at once', async (t) => {
  const { broker, die } = await openMortal(t)
  await die()
  await broker.close()
  await assert.rejects(broker.ping(deadline()), { code: 'SHUTTING_DOWN' })
})
