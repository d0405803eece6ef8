import { createHash } from 'node:crypto'
import { cpSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { ENGINE } from '../src/adapters/store/embedded/folder.ts'
import { openEmbeddedStore } from '../src/adapters/store/embedded.ts'
import { checksum } from '../src/adapters/store/migrate.ts'
import { MIGRATIONS } from '../src/adapters/store/migrations/index.ts'
import { madeOnce } from './made-once.ts'
import { quietLog } from './quiet.ts'

/**
 * A migrated store, made once a user and kept between runs: making one takes seconds, copying it a moment. Whatever goes
 * into it is part of its name.
 */
async function template(): Promise<string> {
  const key = createHash('sha256')
    .update([ENGINE, ...MIGRATIONS.map(checksum)].join())
    .digest('hex')
  const folder = join(tmpdir(), `tapeline-store-${userInfo().username}-${key.slice(0, 16)}`)
  return madeOnce(folder, async (aside) => {
    const store = await openEmbeddedStore({ folder: aside, log: quietLog })
    await store.migrate(AbortSignal.timeout(60_000))
    await store.close()
  })
}

/**
 * Fills a folder that does not exist yet with a migrated, empty embedded store. Its thousand files are copied in one call: file by file
 * it takes ten times the processor time.
 */
export async function copyStoreTemplate(to: string): Promise<void> {
  cpSync(await template(), to, { recursive: true })
}

/** A migrated, empty embedded store in a folder of its own, for several tests. */
export async function makeTemporaryStore(): Promise<{
  readonly folder: string
  readonly remove: () => Promise<void>
}> {
  const parent = await mkdtemp(join(tmpdir(), 'tapeline-store-test-'))
  const folder = join(parent, 'store')
  await copyStoreTemplate(folder)
  return { folder, remove: () => rm(parent, { recursive: true, force: true }) }
}

/** The folder of a migrated, empty embedded store, which is removed after the test. */
export async function temporaryStore(t: TestContext): Promise<string> {
  const { folder, remove } = await makeTemporaryStore()
  t.after(remove)
  return folder
}
