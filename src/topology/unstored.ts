import type { Config } from '../config.ts'
import type { PlatformNames } from '../control/names.ts'
import type { Channel } from '../domain/events.ts'
import type { Broker } from '../ports/broker.ts'
import type { Store } from '../ports/store.ts'

const QUERY = {
  sql: 'select topic_id, partition, next_offset from tapeline_offsets',
  maxRows: 100_000,
  timeoutMs: 10_000,
}

/** The fixed topics that the database keeps. */
export function storedTopics(
  { store }: Pick<Config, 'store'>,
  { fixed }: Pick<PlatformNames, 'fixed'>,
): Readonly<Partial<Record<Channel, string>>> {
  const { book, ...others } = fixed
  return store.books > 0 ? { ...others, book } : others
}

/**
 * How many records of the topics the database does not have yet, by the ends in the broker and the offsets in the database.
 * Raises what either raises.
 */
export async function countUnstored(
  broker: Pick<Broker, 'describeTopics'>,
  store: Pick<Store, 'query'>,
  topics: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  // The ends first: what is published meanwhile is not asked for.
  const described = await broker.describeTopics(topics, signal)
  const { sql, ...limits } = QUERY
  const { rows } = await store.query(sql, limits, signal)
  const stored = new Map(
    rows.map((row) => [`${row['topic_id']}:${row['partition']}`, Number(row['next_offset'])]),
  )
  let missing = 0
  for (const { id, offsets } of described) {
    for (const [partition, { earliest, end }] of offsets.entries()) {
      missing += Math.max(0, end - Math.max(earliest, stored.get(`${id}:${partition}`) ?? 0))
    }
  }
  return missing
}
