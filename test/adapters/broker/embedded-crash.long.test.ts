import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { lockDataFolder } from '../../../src/adapters/broker/embedded/lock.ts'
import { openEmbeddedBroker } from '../../../src/adapters/broker/embedded.ts'
import { deadline, readToEnd, textOf } from '../../contract/broker-fixtures.ts'
import { temporaryFolder } from './temporary-folder.ts'

const SCRIPT = join(import.meta.dirname, 'append-until-killed.ts')

/** Runs the child until it has acknowledged so many appends, kills it, and notes the highest offsets acknowledged. */
async function appendAndKill(
  t: TestContext,
  folder: string,
  lines: number,
  acknowledged: Map<string, number>,
) {
  const child = spawn(process.execPath, [SCRIPT, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  const exited = once(child, 'exit')
  let count = 0
  for await (const line of createInterface(child.stdout)) {
    const [topic, partition, offset] = line.split(' ')
    const key = `${topic} ${partition}`
    // Several calls are under way at once, but the log acknowledges them in turn.
    assert.ok(Number(offset) > (acknowledged.get(key) ?? -1), `${line} came after ${acknowledged.get(key)}`)
    acknowledged.set(key, Number(offset))
    if (++count === lines) child.kill('SIGKILL')
  }
  const [, signal] = await exited
  assert.equal(signal, 'SIGKILL', 'the child was killed rather than failed')
}

test('kill -9 loses no acknowledged record and leaves no hole', async (t) => {
  const folder = await temporaryFolder(t)
  const acknowledged = new Map<string, number>()
  const kills = Array.from({ length: 8 }, () => randomInt(20, 250))
  t.diagnostic(`killed after so many acknowledgements: ${kills.join(', ')}`)
  for (const lines of kills) {
    await appendAndKill(t, folder, lines, acknowledged)
    const broker = await openEmbeddedBroker({ folder })
    try {
      for (const { name, offsets } of await broker.listTopics('', deadline())) {
        for (const [partition, { end }] of offsets.entries()) {
          const last = acknowledged.get(`${name} ${partition}`) ?? -1
          assert.ok(end > last, `${name} ${partition} ends at ${end}, but ${last} was acknowledged`)
          const records = await readToEnd(broker, name, partition)
          assert.equal(records.length, end)
          for (const [offset, record] of records.entries()) {
            assert.equal(record.offset, offset)
            assert.equal(textOf(record)?.replaceAll('.', ''), String(offset))
          }
        }
      }
      const [, transactional] = await Promise.all(
        ['plain', 'transactional'].map(
          async (name) => (await broker.listTopics(name, deadline()))[0]?.offsets,
        ),
      )
      assert.equal(transactional?.[0]?.end, transactional?.[1]?.end, 'a commit is whole')
    } finally {
      await broker.close()
    }
    const database = new DatabaseSync(join(folder, 'broker.db'), { readOnly: true })
    assert.deepEqual(
      database
        .prepare('pragma integrity_check')
        .all()
        .map((row) => row['integrity_check']),
      ['ok'],
    )
    database.close()
  }
  assert.equal(acknowledged.size, 5, 'every partition was written to')
})

test('a folder in use is refused, and free when its process is killed', async (t) => {
  const folder = await temporaryFolder(t)
  const child = spawn(process.execPath, [SCRIPT, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  const locked = { code: 'DATA_FOLDER_LOCKED', message: new RegExp(folder) }
  await assert.rejects(openEmbeddedBroker({ folder }), locked)
  assert.throws(() => lockDataFolder(folder), locked)
  child.kill('SIGKILL')
  child.stdout.resume()
  await once(child, 'exit')
  const broker = await openEmbeddedBroker({ folder })
  await assert.rejects(openEmbeddedBroker({ folder }), locked)
  await broker.close()
  const lock = lockDataFolder(folder)
  const under = await openEmbeddedBroker({ folder, locked: true })
  await under.close()
  assert.throws(() => lockDataFolder(folder), locked)
  lock.release()
  lock.release()
  lockDataFolder(folder).release()
})
