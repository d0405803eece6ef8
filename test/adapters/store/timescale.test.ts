import { openTimescaleStore } from '../../../src/adapters/store/timescale.ts'
import { describeStore } from '../../contract/store.ts'
import { deadline } from '../../contract/store-fixtures.ts'
import { requireServer } from '../../servers/availability.ts'
import { debianBinaries, postgresMissing, startPostgres } from '../../servers/postgres.ts'
import { settingsFor } from './timescale-server.ts'

const DEBIAN = 15
const debian = debianBinaries(DEBIAN)

for (const [name, binaries] of [
  ['PostgreSQL 18', undefined],
  [`PostgreSQL ${DEBIAN} of Debian`, debian],
] as const) {
  if (name !== 'PostgreSQL 18' && binaries === undefined) continue
  describeStore(
    `the store on ${name}`,
    async () => {
      const server = await startPostgres(binaries === undefined ? {} : { binaries })
      const store = await openTimescaleStore(settingsFor(server.url), deadline())
      return {
        store,
        async close() {
          await store.close()
          await server.close()
        },
      }
    },
    binaries === undefined ? requireServer(postgresMissing()) : {},
  )
}
