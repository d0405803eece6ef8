import { openEmbeddedStore } from '../../../src/adapters/store/embedded.ts'
import { describeStore } from '../../contract/store.ts'
import { quietLog } from '../../quiet.ts'
import { makeTemporaryStore } from '../../store-template.ts'

describeStore('the embedded store', async () => {
  const { folder, remove } = await makeTemporaryStore()
  const store = await openEmbeddedStore({ folder, log: quietLog })
  return {
    store,
    async close() {
      await store.close()
      await remove()
    },
  }
})
