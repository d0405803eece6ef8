import { describeStore } from '../../contract/store.ts'
import { debianBinaries, startPostgres } from '../../servers/postgres.ts'
import { openDatabase } from './timescale-server.ts'

const VERSION = 15
const binaries = debianBinaries(VERSION)

if (binaries !== undefined)
  describeStore(`the store on PostgreSQL ${VERSION} of Debian`, async () => {
    const { url, close } = await startPostgres({ binaries })
    return openDatabase({ url, end: close })
  })
