import { z } from 'zod'
import { emptyMemory } from '../../domain/reader-rules.ts'
import { literal } from '../../domain/sql-literal.ts'
import type { Claim, ClaimTarget } from '../../ports/store.ts'
import { writeError } from './database-errors.ts'
import { records, type SqlSession } from './session.ts'

/** How far one partition moves: what must stand in the table, and what will. */
export interface Advance {
  readonly claim: Claim
  readonly next: number
  readonly memory: Claim['memory']
  readonly back: boolean
}

const Memory = z.object({
  epochs: z.record(z.string(), z.number()),
  positions: z.record(z.string(), z.record(z.string(), z.tuple([z.number(), z.number()]))),
  latest: z.number().optional(),
  mayHaveTo: z.number().optional(),
  overwrittenBy: z.number().optional(),
})

/** In the order of the key, so that two processes that claim the same partitions wait instead of deadlocking. */
const CLAIM = `
  insert into tapeline_offsets (topic, topic_id, partition, next_offset, fence, memory)
  select distinct topic, topic_id, partition, 0, 1, ${literal(JSON.stringify(emptyMemory()))}::jsonb
  from jsonb_to_recordset($1::jsonb) as t(topic text, topic_id text, partition integer)
  order by topic_id, partition
  on conflict (topic_id, partition) do update
    set fence = tapeline_offsets.fence + 1, topic = excluded.topic, claimed_at = now()
  returning topic, topic_id, partition, next_offset, fence, memory, (
    select max(former.next_offset) from tapeline_offsets former
    where former.topic = tapeline_offsets.topic and former.partition = tapeline_offsets.partition
      and former.topic_id <> tapeline_offsets.topic_id) as former_offset`

/** Raises the fence of each partition (R8). The claims come in the order of the targets. */
export async function claim(session: SqlSession, targets: readonly ClaimTarget[]): Promise<readonly Claim[]> {
  const wanted = targets.map(({ topic, topicId, partition }) => ({ topic, topic_id: topicId, partition }))
  try {
    const claims = records(await session.rows(CLAIM, [JSON.stringify(wanted)])).map(readClaim)
    return targets.flatMap(({ topicId, partition }) =>
      claims.filter((each) => each.topicId === topicId && each.partition === partition),
    )
  } catch (error) {
    throw writeError(error)
  }
}

function readClaim(row: Record<string, string | null>): Claim {
  const former = row['former_offset'] ?? null
  return {
    topic: row['topic'] ?? '',
    topicId: row['topic_id'] ?? '',
    partition: Number(row['partition']),
    fence: Number(row['fence']),
    nextOffset: Number(row['next_offset']),
    memory: Memory.parse(JSON.parse(row['memory'] ?? '')),
    ...(former !== null && { formerOffset: Number(former) }),
  }
}

/**
 * The statement that moves the partitions, or raises SQLSTATE TL001 where one of them stands elsewhere or under another
 * fence, TL002 where one would go back (migration 6). A literal, because it shares its trip with COPY and the simple protocol has no parameters.
 */
export function advanceStatement(advances: readonly Advance[]): string {
  const rows = advances.map(
    ({ claim: { topic, topicId, partition, fence, nextOffset }, next, memory, back }) => ({
      topic,
      topic_id: topicId,
      partition,
      expected: nextOffset,
      fence,
      next,
      memory,
      ...(back && { back }),
    }),
  )
  return `select tapeline_advance(${literal(JSON.stringify(rows))});`
}
