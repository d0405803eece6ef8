import { TapelineError } from '../../../errors.ts'
import { records, SessionLostError, type SqlSession } from '../session.ts'
import { type Address, nameOf } from './address.ts'

const OLDEST = 15
const NEWEST = 18

/**
 * Whether the server is of a version that the platform supports, and where it is wanted for writes takes them. A standby, or a primary that was demoted,
 * counts as unavailable: the connection is dropped, and the next one may lead to the new primary. Raises STORE_UNSUPPORTED,
 * STORE_UNAVAILABLE.
 */
export async function checkServer(
  session: SqlSession,
  address: Address,
  wantedFor: 'reads' | 'writes',
): Promise<void> {
  const found = await session.rows(`
    select current_setting('server_version') as version, current_setting('server_version_num') as number,
      pg_is_in_recovery() as recovery, current_setting('default_transaction_read_only') as read_only`)
  const [row] = records(found)
  if (row === undefined) throw new SessionLostError('The database gave no answer.')
  const major = Math.floor(Number(row['number']) / 10_000)
  if (major < OLDEST || major > NEWEST) {
    throw new TapelineError(
      'STORE_UNSUPPORTED',
      `The database at ${nameOf(address)} is PostgreSQL ${row['version']}; this version takes ${OLDEST} to ${NEWEST}.`,
    )
  }
  if (wantedFor === 'reads' || (row['recovery'] !== 't' && row['read_only'] !== 'on')) return
  const what = row['recovery'] === 't' ? 'a standby' : 'set to read-only'
  throw new TapelineError(
    'STORE_UNAVAILABLE',
    `The database at ${nameOf(address)} is ${what}: it takes no writes.`,
    {
      remedy: 'Nothing to do while a new primary takes over. If it lasts, let store.url name the primary.',
    },
  )
}
