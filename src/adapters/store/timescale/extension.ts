import { supportsExtension } from '../capabilities.ts'
import { DatabaseError, records, type SqlSession } from '../session.ts'

/** What the server knows of TimescaleDB. */
export interface ExtensionState {
  /** The version that `create extension` would make; undefined where the server has none. */
  readonly available: string | undefined
  /** The version in this database. */
  readonly created: string | undefined
  /** Whether the server has started with it (`shared_preload_libraries`, which only privileged users may read). */
  readonly isLoaded: boolean
}

export async function extensionState(session: SqlSession): Promise<ExtensionState> {
  const found = await session.rows(`
    select default_version as available, installed_version as created,
      current_setting('timescaledb.max_background_workers', true) is not null as loaded
    from pg_available_extensions where name = 'timescaledb'`)
  const [row] = records(found)
  return {
    available: row?.['available'] ?? undefined,
    created: row?.['created'] ?? undefined,
    isLoaded: row?.['loaded'] === 't',
  }
}

const INSUFFICIENT_PRIVILEGE = '42501'

/**
 * Makes TimescaleDB in the database where the server has it and the user may. Otherwise gives the reason why it is not there.
 * It is not tried on a server that has not loaded it: that would end the connection.
 */
export async function createExtension(session: SqlSession): Promise<string | undefined> {
  const { available, created, isLoaded } = await extensionState(session)
  if (created !== undefined) return undefined
  if (available === undefined) return 'TimescaleDB is not installed on this server'
  if (!supportsExtension(available)) return `TimescaleDB ${available} of this server is not supported`
  if (!isLoaded) return 'TimescaleDB is installed on this server, but not in its shared_preload_libraries'
  try {
    await session.execute('create extension if not exists timescaledb')
    return undefined
  } catch (error) {
    if (!(error instanceof DatabaseError && error.sqlState === INSUFFICIENT_PRIVILEGE)) throw error
    return 'This user may not create the extension timescaledb, which an administrator can do in this database'
  }
}
