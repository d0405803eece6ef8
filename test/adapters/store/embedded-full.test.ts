import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openEmbeddedStore } from '../../../src/adapters/store/embedded.ts'
import { toTapelineError } from '../../../src/errors.ts'
import { deadline, MIDNIGHT, segment, store as storeRows, trade } from '../../contract/store-fixtures.ts'
import { quietLog } from '../../quiet.ts'
import { copyStoreTemplate } from '../../store-template.ts'

const MIB = 2 ** 20

/** A disk of its own, of so many MiB; undefined where this user may not mount one. */
function smallDisk(t: TestContext, size: number): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'tapeline-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}m`, 'tmpfs', folder], { stdio: 'ignore' })
  } catch {
    rmdirSync(folder)
    t.skip('this user may not mount a small disk')
    return undefined
  }
  t.after(() => {
    execFileSync('umount', ['-l', folder])
    rmdirSync(folder)
  })
  return folder
}

test('a store whose disk is full says so at every write, and goes on when there is room', async (t) => {
  const disk = smallDisk(t, 90)
  if (disk === undefined) return
  await copyStoreTemplate(join(disk, 'store'))
  const store = await openEmbeddedStore({ folder: join(disk, 'store'), log: quietLog })
  await store.migrate(deadline())
  const rows = (n: number, count = 10_000) =>
    Array.from({ length: count }, (_, i) =>
      trade({ symbol: `S${i % 50}`, id: String(n * count + i), ts: MIDNIGHT + n * 1e6 + i }),
    )
  await storeRows(store, segment('trade', rows(0)))
  const { bavail, bsize } = statfsSync(disk)
  writeFileSync(join(disk, 'other'), Buffer.alloc(Math.max(0, bavail * bsize - MIB)))
  const codes = new Set<string>()
  let stored = 1
  for (let n = 1; n < 12; n++) {
    try {
      await storeRows(store, segment('trade', rows(n)))
      stored++
    } catch (error) {
      codes.add(toTapelineError(error).code)
    }
  }
  assert.deepEqual([...codes], ['STORE_FULL'])
  rmSync(join(disk, 'other'))
  const end = Date.now() + 30_000
  for (;;) {
    const written = await storeRows(store, segment('trade', rows(99))).then(
      () => true,
      () => false,
    )
    if (written) break
    assert.ok(Date.now() < end, 'it goes on within half a minute')
  }
  const { rows: counted } = await store.query(
    'select count(*) as n from trades',
    { maxRows: 1, timeoutMs: 20_000 },
    deadline(),
  )
  await store.close()
  assert.deepEqual(counted, [{ n: (stored + 1) * 10_000 }])
})

test('a store that finds no room to be made in says so', async (t) => {
  const disk = smallDisk(t, 20)
  if (disk === undefined) return
  await assert.rejects(openEmbeddedStore({ folder: join(disk, 'store'), log: quietLog }), {
    code: 'STORE_FULL',
    message: /MiB left/,
  })
})
