import { type TestContext, test } from 'node:test'
import type { Store } from '../../../src/ports/store.ts'
import { assertRefusedAsTooLarge } from '../../contract/store-queries.ts'
import { requireServer } from '../../servers/availability.ts'
import { debianBinaries, postgresMissing, startPostgres } from '../../servers/postgres.ts'
import { openTemporaryStore } from './temporary.ts'
import { openStore, temporaryDatabase } from './timescale-server.ts'

const DEBIAN = 15

/** Larger than any text of Node. The contract of the stores has answers that are just too large. */
const TEXT = "select repeat('x', 600000000)"

function testOn(name: string, open: (t: TestContext) => Promise<Store>, options = {}): void {
  test(`a text that is larger than any is refused on ${name}, and the store goes on`, options, async (t) => {
    await assertRefusedAsTooLarge(await open(t), TEXT)
  })
  test(
    `a plan with a constant that is too large is refused on ${name}, and the store goes on`,
    options,
    async (t) => {
      await assertRefusedAsTooLarge(await open(t), "explain verbose select repeat('x', 70000000)")
    },
  )
}

testOn('the embedded store', openTemporaryStore)
testOn(
  'PostgreSQL 18',
  async (t) => openStore(t, (await temporaryDatabase(t)).url),
  requireServer(postgresMissing()),
)
const debian = debianBinaries(DEBIAN)
if (debian !== undefined)
  testOn(`PostgreSQL ${DEBIAN} of Debian`, async (t) => {
    const server = await startPostgres({ binaries: debian })
    t.after(() => server.close())
    return openStore(t, server.url)
  })
