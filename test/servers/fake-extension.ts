import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'

/**
 * A folder for `extensions` of `startPostgres` with an extension named timescaledb of a version, or of others where
 * they are asked for: only its name and the few functions that a database under the Apache licence is asked for.
 */
export async function fakeTimescale(
  t: TestContext,
  version: string,
  ...others: readonly string[]
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tapeline-extension-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  // The server runs as another user.
  await chmod(folder, 0o755)
  await mkdir(join(folder, 'extension'), { mode: 0o755 })
  const control = `default_version = '${version}'\nrelocatable = false\nsuperuser = true\n`
  await writeFile(join(folder, 'extension', 'timescaledb.control'), control)
  for (const each of [version, ...others])
    await writeFile(join(folder, 'extension', `timescaledb--${each}.sql`), SQL)
  return folder
}

const SQL = `
create function by_range(name, interval) returns text language sql as $$ select $1::text $$;
create function create_hypertable(regclass, text, create_default_indexes boolean, migrate_data boolean)
  returns void language plpgsql as $$ begin end $$;
create function set_chunk_time_interval(regclass, interval) returns void language plpgsql as $$ begin end $$;
create schema timescaledb_information;
grant usage on schema timescaledb_information to public;
create view timescaledb_information.dimensions as
  select 'public'::name as hypertable_schema, 'trades'::name as hypertable_name, interval '1 hour' as time_interval;
grant select on timescaledb_information.dimensions to public;
`
