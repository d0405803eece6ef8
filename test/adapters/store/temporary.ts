import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { compileProgram, type Engine, openEngine } from '../../../src/adapters/store/embedded/engine.ts'
import { type EmbeddedStoreSettings, openEmbeddedStore } from '../../../src/adapters/store/embedded.ts'
import type { Store } from '../../../src/ports/store.ts'
import { deadline } from '../../contract/store-fixtures.ts'
import { quietLog } from '../../quiet.ts'
import { makeTemporaryStore } from '../../store-template.ts'

let program: ReturnType<typeof compileProgram> | undefined

/** The database's program, compiled once for all tests of a file. */
export function sharedProgram(): ReturnType<typeof compileProgram> {
  program ??= compileProgram()
  return program
}

/** A migrated store, closed and removed after the test. */
export async function openTemporaryStore(
  t: TestContext,
  settings: Partial<EmbeddedStoreSettings> = {},
): Promise<Store> {
  const { folder, remove } = await makeTemporaryStore()
  const store = await openEmbeddedStore({ folder, log: quietLog, ...settings })
  t.after(async () => {
    await store.close()
    await remove()
  })
  await store.migrate(deadline())
  return store
}

/** The database of a migrated store in this thread, closed and removed after the test. */
export async function openTemporaryEngine(t: TestContext): Promise<Engine> {
  const { folder, remove } = await makeTemporaryStore()
  const engine = await openEngine(await sharedProgram(), join(folder, 'pg'), false)
  t.after(async () => {
    await engine.close()
    await remove()
  })
  return engine
}
