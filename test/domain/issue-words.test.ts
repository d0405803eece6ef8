import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { issueWords } from '../../src/domain/issue-words.ts'

const CASES: readonly (readonly [schema: z.ZodType, value: unknown, words: string])[] = [
  [z.string(), undefined, 'is missing'],
  [z.string(), 5, 'is not text'],
  [z.coerce.number(), 'x', 'is not a number'],
  [z.number().int(), 1.5, 'is not a whole number'],
  [z.array(z.string()), 5, 'is not a list'],
  [z.record(z.string(), z.string()), [], 'is not an object'],
  [z.enum(['a', 'b', 'c']), 'd', 'is not a, b or c'],
  [z.literal('x'), 'y', 'is not x'],
  [z.union([z.string(), z.number()]), true, 'is not text or a number'],
  [z.union([z.literal('a'), z.number()]), 'b', 'has none of the forms that it may have'],
  [z.number().min(1), 0, 'must be at least 1'],
  [z.number().gt(1), 1, 'must be more than 1'],
  [z.number().max(8), 99, 'must be at most 8'],
  [z.number().lt(8), 8, 'must be less than 8'],
  [z.string().min(1), '', 'is empty'],
  [z.string().max(3), 'abcd', 'must have at most 3 characters'],
  [z.array(z.number()).min(1), [], 'is empty'],
  [z.array(z.number()).max(1), [1, 2], 'must have at most 1 entries'],
  [z.number().multipleOf(5), 3, 'must be a multiple of 5'],
  [z.string().regex(/^a/), 'b', 'has another form than it must have'],
  [z.url(), 'b', 'is not a valid url'],
  [z.strictObject({}), { a: 1 }, 'has what is not known there: a'],
  [z.number().refine(() => false), 3, 'is not acceptable'],
  [z.number().min(1, 'is no port'), 0, 'is no port'],
]

test('what is wrong with a value is said in words of ours, unless the schema has its own', () => {
  for (const [schema, value, words] of CASES) {
    const message = schema.safeParse(value, { error: issueWords }).error?.issues[0]?.message
    assert.equal(message, words, JSON.stringify(value))
  }
})
