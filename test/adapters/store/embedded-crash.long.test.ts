import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { openEmbeddedStore } from '../../../src/adapters/store/embedded.ts'
import { deadline, segment, sql, trade, writeOf } from '../../contract/store-fixtures.ts'
import { quietLog } from '../../quiet.ts'
import { temporaryStore } from '../../store-template.ts'

const SCRIPT = join(import.meta.dirname, 'write-until-killed.ts')
const PARTITIONS = [0, 1].map((partition) => ({ topic: 'fixed', topicId: 'fixed', partition }))

/** Runs the child until it has acknowledged so many writes, and kills it a moment later. Gives the offsets acknowledged. */
async function writeAndKill(t: TestContext, folder: string, lines: number, milliseconds: number) {
  const child = spawn(process.execPath, [SCRIPT, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  const exited = once(child, 'exit')
  const acknowledged = new Map<number, number>()
  let count = 0
  for await (const line of createInterface(child.stdout)) {
    const [partition, nextOffset] = line.split(' ').map(Number)
    acknowledged.set(partition ?? -1, nextOffset ?? -1)
    if (++count === lines) setTimeout(() => child.kill('SIGKILL'), milliseconds)
  }
  const [, signal] = await exited
  assert.equal(signal, 'SIGKILL', 'the child was killed rather than failed')
  return acknowledged
}

test('kill -9 loses no acknowledged write, and rows and offsets agree', async (t) => {
  const folder = await temporaryStore(t)
  const kills = Array.from({ length: 5 }, () => [2 * randomInt(1, 40), randomInt(0, 30)] as const)
  t.diagnostic(`killed after so many lines and milliseconds: ${kills.join('; ')}`)
  for (const [lines, milliseconds] of kills) {
    const acknowledged = await writeAndKill(t, folder, lines, milliseconds)
    const store = await openEmbeddedStore({ folder, log: quietLog })
    try {
      for (const { partition, nextOffset } of await store.claim(PARTITIONS, deadline())) {
        const known = acknowledged.get(partition) ?? 0
        assert.ok(nextOffset >= known, `${partition} stands at ${nextOffset}, but ${known} was acknowledged`)
        const { rows } = await sql(
          store,
          `select count(*) as rows, count(distinct id) as ids, min(id::bigint) as low, max(id::bigint) as high,
             (select count(*) from quotes where symbol = 'P${partition}') as quotes
           from trades where symbol = 'P${partition}'`,
        )
        const all = nextOffset
        assert.deepEqual(rows, [{ rows: all, ids: all, low: 0, high: all - 1, quotes: all }])
      }
    } finally {
      await store.close()
    }
  }
})

test('a store that is closed and opened again has everything, and writes go on', async (t) => {
  const folder = await temporaryStore(t)
  const [target] = PARTITIONS
  assert.ok(target)
  for (let round = 0; round < 2; round++) {
    const store = await openEmbeddedStore({ folder, log: quietLog })
    const [claim] = await store.claim([target], deadline())
    assert.ok(claim)
    assert.deepEqual([claim.nextOffset, claim.fence], [round, round + 1])
    await store.write([writeOf(claim, 1, segment('trade', [trade({ id: String(round) })]))], deadline())
    const found = await store.trades({ symbol: 'BTC-USD', limit: 10 }, deadline())
    assert.equal(found.length, round + 1)
    await store.close()
  }
})
