import { KEPT_NAMES } from './policies.ts'
import { records, type SqlSession } from './session.ts'

/** What a row of trades or quotes takes in its table, about. */
export const ROW_BYTES = 110

/** A chunk with about how many rows it has. */
interface Chunk {
  readonly chunk: string
  readonly rows: number
}

/**
 * Moves the oldest chunk of trades or quotes whose events are all older than a time (milliseconds) into the columnstore,
 * if it is small enough. Not by the policy's own job, which takes whatever is there: nothing else runs meanwhile.
 */
export async function compressNextChunk(
  session: SqlSession,
  before: number,
  maxRows: number,
): Promise<{ readonly compressed: string | undefined; readonly larger: readonly Chunk[] }> {
  const found = await session.rows(
    `select format('%I.%I', chunk_schema, chunk_name) as chunk,
       pg_relation_size(format('%I.%I', chunk_schema, chunk_name)::regclass) as bytes
     from timescaledb_information.chunks
     where hypertable_schema = current_schema and hypertable_name in (${KEPT_NAMES})
       and not is_compressed and range_end <= to_timestamp($1::double precision / 1000)
     order by range_end`,
    [before],
  )
  const chunks = records(found).map((row) => ({
    chunk: row['chunk'] ?? '',
    rows: Math.round(Number(row['bytes']) / ROW_BYTES),
  }))
  const next = chunks.find(({ rows }) => rows <= maxRows)
  if (next !== undefined) await session.execute(`call convert_to_columnstore('${next.chunk}')`)
  return {
    compressed: next && `columnstore ${next.chunk}`,
    larger: chunks.filter(({ rows }) => rows > maxRows),
  }
}
