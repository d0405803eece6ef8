import { z } from 'zod'

/** What the routes of topics, their records and dead letters answer, for the types of handlers and for the API description. Times are ISO 8601 in UTC. */

export const topicsSchema = z
  .object({
    topics: z.array(
      z.object({
        name: z.string(),
        id: z.string().describe('Identity of the topic; never used again.'),
        partitions: z.number().int(),
        compacted: z.boolean(),
        retentionMs: z.number().optional(),
        earliest: z.number().int().describe('First offset that can be read, summed over the partitions.'),
        end: z.number().int().describe('Next offset to be written, summed over the partitions.'),
        offsets: z
          .array(z.object({ earliest: z.number().int(), end: z.number().int() }))
          .readonly()
          .describe('The same for each partition.'),
      }),
    ),
  })
  .meta({ id: 'Topics' })

export const recordsSchema = z
  .object({
    topic: z.string(),
    topicId: z.string(),
    partition: z.number().int(),
    earliest: z.number().int(),
    end: z.number().int().describe('End of the partition when it was read.'),
    next: z.number().int().describe('The offset to go on from.'),
    records: z.array(
      z.object({
        offset: z.number().int(),
        timestamp: z.string().describe('When it was published.'),
        key: z.string().nullable(),
        headers: z
          .object({
            v: z.number(),
            kind: z.enum(['event', 'marker', 'control']),
            shard: z.number().optional(),
            epoch: z.number().optional(),
            expected: z.number().optional().describe('The offset that its writer expected for it.'),
            position: z
              .string()
              .optional()
              .describe('topic:partition:offset of the fixed record that caused it.'),
            reentering: z.literal(true).optional(),
          })
          .describe('Readers must leave out records of a lower epoch after a higher one, by shard.'),
        value: z.string().nullable().describe('As text; null: a marker or a tombstone.'),
      }),
    ),
    undecodable: z
      .array(z.object({ from: z.number().int(), to: z.number().int(), reason: z.string() }))
      .optional()
      .describe('Offsets, ends included, whose batch nobody can read, and why.'),
  })
  .meta({ id: 'Records' })

const deadLetter = {
  id: z.string().describe('topic:partition:offset of the refused record.'),
  topic: z.string(),
  partition: z.number().int(),
  offset: z.number().int(),
  code: z.string().describe('Why it was refused.'),
  reason: z.string(),
  publishedAt: z.string().describe('When the refused record was published.'),
  refusedAt: z.string(),
  size: z.number().int().describe("Bytes of the refused record's value."),
  replayedAt: z.string().nullable().describe('When it last entered again; null: never.'),
}

export const deadLettersSchema = z
  .object({
    deadLetters: z.array(z.object(deadLetter).meta({ id: 'DeadLetter' })).readonly(),
    total: z.number().int().describe('How many there are of those asked for, of the newest 50,000.'),
    next: z.number().int().nullable().describe('Goes on with before; null: there are no more.'),
  })
  .meta({ id: 'DeadLetters' })

export const deadLetterContentSchema = z
  .object({
    ...deadLetter,
    key: z.string().nullable(),
    version: z.number().describe('The schema version that the record named.'),
    fields: z
      .array(z.object({ field: z.string(), message: z.string() }))
      .readonly()
      .describe('What is not acceptable.'),
    encoding: z.enum(['utf8', 'base64']).describe('How value shows the bytes.'),
    value: z.string(),
    complete: z.boolean().describe('Whether value is all of it: of a large one only the beginning is kept.'),
  })
  .meta({ id: 'DeadLetterContent' })

export const replayResultsSchema = z
  .object({
    results: z
      .array(
        z.object({
          id: z.string(),
          outcome: z
            .enum(['replayed', 'still-refused', 'unknown', 'not-owned'])
            .describe(
              'replayed: published again; still-refused: see code; unknown: no such letter; not-owned: no producer answered, ask again.',
            ),
          code: z.string().optional(),
          reason: z.string().optional(),
        }),
      )
      .readonly(),
    next: z.number().int().nullable().describe('Goes on with from; null: there are no more.'),
  })
  .meta({ id: 'ReplayResults' })
