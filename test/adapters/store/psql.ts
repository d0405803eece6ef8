import pg from 'pg'
import type { PostgresServer } from '../../servers/postgres.ts'

/** Runs statements as the server's administrator, on a connection of their own; the rows of the last one. */
export async function query(
  { port, database: own = 'postgres' }: Pick<PostgresServer, 'port'> & { readonly database?: string },
  statements: string,
  database = own,
): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: 'postgres',
    database,
    application_name: 'test',
  })
  await client.connect()
  try {
    let rows: Record<string, unknown>[] = []
    for (const statement of statements.split(';')) ({ rows } = await client.query(statement))
    return rows
  } finally {
    await client.end()
  }
}
