import assert from 'node:assert/strict'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { openWorkerChannel } from '../../../src/adapters/broker/embedded/channel.ts'
import { EmbeddedBroker } from '../../../src/adapters/broker/embedded/embedded-broker.ts'
import { openEmbeddedBroker, openLogReadOnly } from '../../../src/adapters/broker/embedded.ts'
import {
  deadline,
  pollUntil,
  readToEnd,
  recordsOf,
  removeTopics,
  textOf,
  textRecord,
} from '../../contract/broker-fixtures.ts'
import { temporaryFolder } from './temporary-folder.ts'

for (const durability of ['process', 'power'] as const) {
  test(`a log is as it was when it is opened again, durability ${durability}`, async (t) => {
    const folder = await temporaryFolder(t)
    const first = await openEmbeddedBroker({ folder, durability })
    await first.createTopics(
      [
        { name: 'a', partitions: 2, retentionMs: 3_600_000 },
        { name: 'b', partitions: 1, compacted: true },
        { name: 'deleted', partitions: 1 },
      ],
      deadline(),
    )
    await first.publish(
      [
        { topic: 'a', partition: 1, records: [textRecord('1'), textRecord('2')] },
        { topic: 'b', partition: 0, records: [textRecord('3', 'key')] },
      ],
      deadline(),
    )
    await removeTopics(first, ['deleted'])
    const member = await first.joinGroup(
      { group: 'g', topics: ['a'], onAssignment: async () => {} },
      deadline(),
    )
    await member.commit([{ topic: 'a', partition: 1, offset: 1 }], deadline())
    await member.commit([{ topic: 'a', partition: 1, offset: 2 }], deadline())
    const topics = await first.listTopics('', deadline())
    await first.close()

    const database = new DatabaseSync(join(folder, 'broker.db'), { readOnly: true })
    const positions = database.prepare(
      'select group_name, topic, partition, next_offset from group_positions',
    )
    assert.deepEqual(
      positions.all().map((row) => ({ ...row })),
      [{ group_name: 'g', topic: 'a', partition: 1, next_offset: 2 }],
    )
    database.close()

    const second = await openEmbeddedBroker({ folder, durability })
    t.after(() => second.close())
    assert.deepEqual(await second.listTopics('', deadline()), topics)
    assert.deepEqual((await readToEnd(second, 'a', 1)).map(textOf), ['1', '2'])
    assert.deepEqual((await readToEnd(second, 'b')).map(textOf), ['3'])
    await assert.rejects(second.createTopics([{ name: 'deleted', partitions: 1 }], deadline()), {
      code: 'TOPIC_EXISTS',
    })
    assert.deepEqual(
      await second.publish([{ topic: 'a', partition: 1, records: [textRecord('4')] }], deadline()),
      [{ topic: 'a', partition: 1, baseOffset: 2 }],
    )
  })
}

test('writes that arrive together are one transaction', async (t) => {
  const folder = await temporaryFolder(t)
  const broker = await openEmbeddedBroker({ folder })
  t.after(() => broker.close())
  await broker.createTopics([{ name: 'topic', partitions: 4 }], deadline())
  const before = await countCommits(folder)
  const calls = 400
  await Promise.all(
    Array.from({ length: calls }, (_, call) =>
      broker.publish([{ topic: 'topic', partition: call % 4, records: [textRecord(`${call}`)] }], deadline()),
    ),
  )
  const commits = (await countCommits(folder)) - before
  assert.ok(commits > 0 && commits < calls / 2, `${calls} calls took ${commits} transactions`)
})

/** A frame of the write-ahead log that ends a transaction names the size of the database. https://sqlite.org/fileformat2.html#walformat */
async function countCommits(folder: string): Promise<number> {
  const wal = await readFile(join(folder, 'broker.db-wal'))
  const pageSize = wal.readUInt32BE(8)
  let commits = 0
  for (let at = 32; at < wal.length; at += 24 + pageSize) if (wal.readUInt32BE(at + 4) !== 0) commits++
  return commits
}

test('one reader follows a thousand topics', async (t) => {
  const folder = await temporaryFolder(t)
  const broker = await openEmbeddedBroker({ folder })
  t.after(() => broker.close())
  const names = Array.from({ length: 1_000 }, (_, index) => `app.${index}`)
  await broker.createTopics(
    names.map((name) => ({ name, partitions: 1 })),
    deadline(),
  )
  const reader = await broker.openReader(deadline())
  await reader.assign(
    names.map((topic) => ({ topic, partition: 0, offset: 0 })),
    deadline(),
  )
  for (let round = 0; round < 3; round++) {
    const polling = pollUntil(reader, (all) => recordsOf(all).length >= names.length)
    await broker.publish(
      names.map((topic) => ({ topic, partition: 0, records: [textRecord(`${topic} ${round}`)] })),
      deadline(),
    )
    const seen = (await polling).flatMap((fetch) =>
      fetch.kind === 'records'
        ? fetch.records.map((record) => [fetch.topic, textOf(record), record.offset])
        : [],
    )
    assert.deepEqual(
      seen.sort(([a], [b]) => names.indexOf(String(a)) - names.indexOf(String(b))),
      names.map((topic) => [topic, `${topic} ${round}`, round]),
    )
  }
  const one = pollUntil(reader, (all) => recordsOf(all).length > 0)
  await broker.publish([{ topic: 'app.777', partition: 0, records: [textRecord('one')] }], deadline())
  assert.deepEqual(recordsOf(await one).map(textOf), ['one'])
  await removeTopics(broker, names.slice(1))
  const deleted = await pollUntil(reader, (all) => all.length >= names.length - 1, 10)
  assert.deepEqual(new Set(deleted.map(({ kind }) => kind)), new Set(['deleted']))
})

test('when the thread of the log dies, everything rejects, and the folder is free after close', async (t) => {
  const folder = await temporaryFolder(t)
  const channel = await openWorkerChannel({ path: join(folder, 'broker.db'), durability: 'process' })
  const log = { error: () => assert.fail('nothing runs in the background') }
  const broker = new EmbeddedBroker({
    channel,
    now: Date.now,
    cleanEveryMs: undefined,
    log,
    onClosed: () => {},
  })
  await broker.createTopics([{ name: 'topic', partitions: 1 }], deadline())
  const reader = await broker.openReader(deadline())
  await reader.assign([{ topic: 'topic', partition: 0, offset: 0 }], deadline())
  const gone = { code: 'BROKER_UNAVAILABLE' }
  const polling = assert.rejects(reader.poll({ maxRecords: 10, waitMs: 20_000 }, deadline()), gone)
  await channel.terminate()
  await polling
  await assert.rejects(broker.listTopics('', deadline()), gone)
  await assert.rejects(
    broker.publish([{ topic: 'topic', partition: 0, records: [textRecord('x')] }], deadline()),
    gone,
  )
  await reader.close(deadline())
  await broker.close()
  const again = await openEmbeddedBroker({ folder })
  await again.close()
})

test('a folder that cannot be used is an error that names it', async (t) => {
  const folder = await temporaryFolder(t)
  const unusable = { code: 'DATA_FOLDER_UNUSABLE', message: new RegExp(folder) }
  const file = join(folder, 'file')
  await writeFile(file, 'not a folder')
  await assert.rejects(openEmbeddedBroker({ folder: file }), unusable)
  await assert.rejects(openEmbeddedBroker({ folder: join(file, 'below') }), unusable)

  const garbage = join(folder, 'garbage')
  await (await openEmbeddedBroker({ folder: garbage })).close()
  await writeFile(join(garbage, 'broker.db'), Buffer.alloc(10_000, 'garbage'))
  await assert.rejects(openEmbeddedBroker({ folder: garbage }), unusable)

  const newer = join(folder, 'newer')
  await (await openEmbeddedBroker({ folder: newer })).close()
  const database = new DatabaseSync(join(newer, 'broker.db'))
  database.exec('pragma user_version = 1000')
  database.close()
  await assert.rejects(openEmbeddedBroker({ folder: newer }), { ...unusable, message: /newer version/ })
  // The lock is free again: it is the format that is refused both times.
  await assert.rejects(openEmbeddedBroker({ folder: newer }), unusable)
})

test('a folder of the version before is read and written on', async (t) => {
  const folder = await temporaryFolder(t)
  const former = await openEmbeddedBroker({ folder })
  await former.createTopics([{ name: 'topic', partitions: 1 }], deadline())
  await former.publish([{ topic: 'topic', partition: 0, records: [textRecord('former')] }], deadline())
  await former.close()
  // Its batches had no checksum.
  const database = new DatabaseSync(join(folder, 'broker.db'))
  database.exec(`update batches set data = cast(x'01' || substr(data, 2, length(data) - 5) as blob);
    pragma user_version = 1`)
  database.close()
  const broker = await openEmbeddedBroker({ folder })
  t.after(() => broker.close())
  await broker.publish([{ topic: 'topic', partition: 0, records: [textRecord('now')] }], deadline())
  assert.deepEqual((await readToEnd(broker, 'topic')).map(textOf), ['former', 'now'])
})

/** The user that owns nothing. */
const NOBODY = 65_534

test('a folder without write permission is an error', async (t) => {
  const folder = await temporaryFolder(t)
  await chmod(folder, 0o500)
  // Root may write everywhere, so it asks as nobody.
  const isRoot = process.getuid?.() === 0
  if (isRoot) process.seteuid?.(NOBODY)
  try {
    await assert.rejects(openEmbeddedBroker({ folder: join(folder, 'data') }), {
      code: 'DATA_FOLDER_UNUSABLE',
    })
  } finally {
    if (isRoot) process.seteuid?.(0)
  }
})

test('a folder that nobody runs can be looked into, and one without a log is refused', async (t) => {
  const folder = await temporaryFolder(t)
  await assert.rejects(openLogReadOnly(folder), { code: 'DATA_FOLDER_UNUSABLE' })
  const broker = await openEmbeddedBroker({ folder })
  await broker.createTopics([{ name: 'topic', partitions: 1, retentionMs: 1 }], deadline())
  await broker.publish([{ topic: 'topic', partition: 0, records: [textRecord('x')] }], deadline())
  await assert.rejects(openLogReadOnly(folder), { code: 'DATA_FOLDER_LOCKED' })
  await broker.close()
  const log = await openLogReadOnly(folder)
  const reader = await log.openReader(deadline())
  await reader.assign([{ topic: 'topic', partition: 0, offset: 0 }], deadline())
  assert.deepEqual(recordsOf(await pollUntil(reader, (all) => recordsOf(all).length > 0)).map(textOf), ['x'])
  await log.close()
})
