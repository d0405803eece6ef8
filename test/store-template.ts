import { createHash } from 'node:crypto'
import { cpSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { compileProgram, openEngine } from '../src/adapters/store/embedded/engine.ts'
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
function template(): Promise<string> {
  return made('store', [ENGINE, ...MIGRATIONS.map(checksum)], async (aside) => {
    const store = await openEmbeddedStore({ folder: aside, log: quietLog })
    await store.migrate(AbortSignal.timeout(60_000))
    await store.close()
  })
}

function made(
  what: string,
  parts: readonly string[],
  make: (aside: string) => Promise<void>,
): Promise<string> {
  const key = createHash('sha256').update(parts.join()).digest('hex').slice(0, 16)
  return madeOnce(join(tmpdir(), `tapeline-${what}-${userInfo().username}-${key}`), make)
}

/** Fills a folder that does not exist yet with a database that has TimescaleDB and nothing else. */
export async function copyDatabaseTemplate(to: string): Promise<void> {
  const bare = await made('database', [ENGINE], async (aside) => {
    const engine = await openEngine(await compileProgram(), join(aside, 'pg'), true)
    await engine.close()
  })
  cpSync(join(bare, 'pg'), to, { recursive: true })
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
