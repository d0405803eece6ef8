import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay, setImmediate } from 'node:timers/promises'
import { MemoryWatch } from '../../../src/adapters/store/embedded/memory-watch.ts'
import { openEmbeddedStore } from '../../../src/adapters/store/embedded.ts'
import { toTapelineError } from '../../../src/errors.ts'
import {
  claimOne,
  deadline,
  segment,
  sql,
  storedIds,
  trade,
  unique,
  writeOf,
} from '../../contract/store-fixtures.ts'
import { quietLog } from '../../quiet.ts'
import { makeTemporaryStore } from '../../store-template.ts'

const MB = 2 ** 20
const ENDLESS = 'select count(*) from generate_series(1, 1000000000000)'
const HEAVY = `select length(repeat(repeat('x', 10000), 15000))`

/** Looks so often; gives at which look it is to be opened anew, undefined where at none. */
function lookOften(watch: MemoryWatch, bytes: number, times: number, load: 'busy' | 'idle' = 'idle') {
  for (let look = 1; look <= times; look++) if (watch.look(bytes, load)) return look
  return undefined
}

test('a database that has grown is opened anew once it has not been busy for a minute', () => {
  const watch = new MemoryWatch()
  assert.equal(lookOften(watch, 200 * MB, 100), undefined)
  assert.equal(lookOften(watch, 1000 * MB, 100, 'busy'), undefined)
  assert.equal(lookOften(watch, 1000 * MB, 100), 60)
})

test('a database that grows on, or has grown by little, is left alone', () => {
  const watch = new MemoryWatch()
  assert.equal(lookOften(watch, 200 * MB, 100), undefined)
  assert.equal(lookOften(watch, 300 * MB, 100), undefined)
  for (let size = 400; size < 500; size++) assert.equal(watch.look(size * MB, 'idle'), false)
})

test('who asks for much again and again waits once in ten minutes', () => {
  const watch = new MemoryWatch()
  watch.look(200 * MB, 'idle')
  assert.notEqual(lookOften(watch, 1000 * MB, 100), undefined)
  watch.renewed()
  watch.look(200 * MB, 'idle')
  assert.equal(lookOften(watch, 1000 * MB, 590), undefined)
  assert.notEqual(lookOften(watch, 1000 * MB, 20), undefined)
})

test('the memory of a heavy statement comes back, and no call is lost over it', async (t) => {
  const { folder, remove } = await makeTemporaryStore()
  const said: string[] = []
  // Seconds pass for the maintenance only, without being waited for.
  t.mock.timers.enable({ apis: ['setInterval'] })
  let passedMs = 0
  const now = performance.now.bind(performance)
  t.mock.method(performance, 'now', () => now() + passedMs)
  const log = { ...quietLog, debug: (_: object, message: string) => said.push(message) }
  const store = await openEmbeddedStore({ folder, log })
  t.after(async () => {
    await store.close()
    await remove()
  })
  await store.migrate(deadline())
  const symbol = unique('S')
  let claim = await claimOne(store, unique('topic'))
  let stored = 0
  const writeOne = async (): Promise<void> => {
    stored++
    const rows = segment('trade', [trade({ symbol, id: String(stored) })])
    const [next] = await store.write([writeOf(claim, stored, rows)], deadline())
    assert.ok(next)
    claim = next
  }
  const second = async (): Promise<void> => {
    passedMs += 10_000
    t.mock.timers.tick(1000)
    // Behind the maintenance of that second.
    await sql(store, 'select 1')
    await setImmediate()
  }
  await second()
  await store.query(HEAVY, { maxRows: 1, timeoutMs: 60_000 }, AbortSignal.timeout(60_000))
  const during = process.memoryUsage().rss
  for (let seconds = 0; said.length === 0; seconds++) {
    assert.ok(seconds < 100, 'it is opened anew within minutes')
    if (seconds < 55) await second()
    else await Promise.all([second(), writeOne(), sql(store, 'select count(*) from trades')])
  }
  assert.match(said[0] ?? '', /opened anew/)
  const end = Date.now() + 20_000
  for (;;) {
    const given = during - process.memoryUsage().rss
    if (given > 128 * MB) break
    assert.ok(Date.now() < end, `${Math.round(given / MB)} MB of ${Math.round(during / MB)} came back`)
    await delay(50)
  }
  await writeOne()
  assert.equal((await storedIds(store, symbol)).length, stored)
  assert.equal((await sql(store, `select count(*)::int as n from trades`)).rows[0]?.['n'], stored)
})

test('threads that are ended one after the other leave nothing behind: they share one compiled program', async (t) => {
  const { folder, remove } = await makeTemporaryStore()
  const store = await openEmbeddedStore({ folder, log: quietLog })
  t.after(async () => {
    await store.close()
    await remove()
  })
  const answered = async (): Promise<number> => {
    for (;;) {
      try {
        await sql(store, 'select count(*) from pg_class')
        return process.memoryUsage().rss
      } catch (error) {
        assert.equal(toTapelineError(error).code, 'STORE_UNAVAILABLE')
        await delay(100)
      }
    }
  }
  const before = await answered()
  let after = before
  for (let thread = 1; thread <= 5; thread++) {
    const endless = store.query(ENDLESS, { maxRows: 1, timeoutMs: 10 }, deadline())
    await assert.rejects(endless, { code: 'TIMEOUT' })
    after = await answered()
  }
  // Measured: 20 MB, and 370 MB where each thread compiles the program.
  const grown = Math.round((after - before) / MB)
  assert.ok(grown < 150, `${grown} MB more than at the first thread`)
})
