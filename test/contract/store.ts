import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Store } from '../../src/ports/store.ts'
import { deadline } from './store-fixtures.ts'
import { describePages } from './store-pages.ts'
import { describeQueries } from './store-queries.ts'
import { describeWrites } from './store-writes.ts'

/** Opens a store for the whole suite; `close` also removes what it left. */
export type OpenStore = () => Promise<{ readonly store: Store; readonly close: () => Promise<void> }>

/**
 * Every promise of the Store port, for any adapter, with or without TimescaleDB. Names are unique, so that a database may
 * be shared.
 */
export function describeStore(
  name: string,
  open: OpenStore,
  options: { readonly skip?: string | false } = {},
): void {
  describe(name, options, () => {
    let opened: Awaited<ReturnType<OpenStore>> | undefined
    const store = () => {
      assert.ok(opened, 'the store is open')
      return opened.store
    }
    before(async () => {
      opened = await open()
      await opened.store.migrate(deadline())
    })
    after(() => opened?.close())

    test('a schema that is up to date is left as it is', async () => {
      const report = await store().migrate(deadline())
      assert.deepEqual(report.applied, [])
      assert.notEqual(report.current, '')
    })
    describeWrites(store)
    describeQueries(store)
    describePages(store)
    test('close ends once, and nothing works after it', async () => {
      await store().close()
      await store().close()
      await assert.rejects(store().claim([], deadline()), { code: 'SHUTTING_DOWN' })
    })
  })
}
