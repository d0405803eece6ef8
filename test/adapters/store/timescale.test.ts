import { describeStore } from '../../contract/store.ts'
import { requireServer } from '../../servers/availability.ts'
import { postgresMissing } from '../../servers/postgres.ts'
import { makeDatabase, openDatabase } from './timescale-server.ts'

describeStore(
  'the store on PostgreSQL 18',
  async () => {
    const { url, remove } = await makeDatabase()
    return openDatabase({ url, end: remove })
  },
  requireServer(postgresMissing()),
)
