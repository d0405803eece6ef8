import { openTimescaleStore } from '../../../src/adapters/store/timescale.ts'
import { describeStore } from '../../contract/store.ts'
import { deadline } from '../../contract/store-fixtures.ts'
import { requireServer } from '../../servers/availability.ts'
import { debianBinaries, postgresMissing, startPostgres } from '../../servers/postgres.ts'
import { makeDatabase, settingsFor } from './timescale-server.ts'

const DEBIAN = 15
const debian = debianBinaries(DEBIAN)

/** Runs the contract on a database; `open` gives its address and what ends it. */
function describeDatabase(
  name: string,
  open: () => Promise<{ readonly url: string; readonly end: () => Promise<void> }>,
  options: Parameters<typeof describeStore>[2] = {},
): void {
  const openStore = async () => {
    const { url, end } = await open()
    const store = await openTimescaleStore(settingsFor(url), deadline())
    const close = () => store.close().then(end)
    return { store, close }
  }
  describeStore(`the store on ${name}`, openStore, options)
}

describeDatabase(
  'PostgreSQL 18',
  async () => {
    const { url, remove } = await makeDatabase()
    return { url, end: remove }
  },
  requireServer(postgresMissing()),
)

if (debian !== undefined)
  describeDatabase(`PostgreSQL ${DEBIAN} of Debian`, async () => {
    const { url, close } = await startPostgres({ binaries: debian })
    return { url, end: close }
  })
