import type { FastifySchemaCompiler } from 'fastify'
import { z } from 'zod'
import { issueWords } from '../domain/issue-words.ts'
import { parseMoment, type RangeEnd } from '../domain/moment.ts'
import { type FieldError, TapelineError } from '../errors.ts'
import { excerpt } from './problem.ts'

/** Validates parameters, queries and bodies of routes by their zod schemas. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> =
  ({ schema }) =>
  (input) => {
    const parsed = schema.safeParse(input, { error: issueWords })
    if (parsed.success) return { value: parsed.data }
    return { error: invalidInput(parsed.error, schema, input) }
  }

/** Reads input by a schema. Raises INPUT_INVALID with an entry for each offending field; its remedy is the field's description. */
export function parseInput<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const parsed = schema.safeParse(input, { error: issueWords })
  if (!parsed.success) throw invalidInput(parsed.error, schema, input)
  return parsed.data
}

/** A time as applications write it (`MOMENT_FORMS`), as one end of a range. Gives microseconds. */
export function timeSchema(end: RangeEnd) {
  return z.string().transform((text, context) => {
    const micros = parseMoment(text.replace(LOST_PLUS, '+'), end, Date.now())
    if (micros !== undefined) return micros
    context.addIssue('is no time')
    return z.NEVER
  })
}

/** The `+` before a zone that was not percent-encoded: in a query it stands for a blank. */
const LOST_PLUS = / (?=\d{2}:?\d{2}$)/

function invalidInput(error: z.ZodError, schema: z.ZodType, input: unknown): TapelineError {
  const fields = error.issues.flatMap((issue) => describeIssue(issue, schema, input))
  const names = [...new Set(fields.map(({ field }) => excerpt(field)))].slice(0, 10).join(', ')
  return new TapelineError('INPUT_INVALID', `not acceptable: ${names}`, { fields })
}

function describeIssue(issue: z.core.$ZodIssue, schema: z.ZodType, input: unknown): FieldError[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      field: key,
      value: valueAt(input, [key]),
      message: 'is not known here',
      remedy: `Leave it out; known: ${Object.keys(shapeOf(schema)).join(', ')}.`,
    }))
  }
  const value = valueAt(input, issue.path)
  const name = issue.path.join('.')
  return [
    {
      field: name || '(body)',
      value: value ?? null,
      message: value === undefined ? 'is missing' : issue.message,
      remedy: remedyOf(schema, String(issue.path[0] ?? '')),
    },
  ]
}

function remedyOf(schema: z.ZodType, field: string): string {
  const description = shapeOf(schema)[field]?.description ?? schema.description
  return description === undefined
    ? 'GET /docs describes what is acceptable.'
    : `${field || 'Send'}: ${description}`
}

function shapeOf(
  schema: z.ZodType,
): Readonly<Record<string, z.core.$ZodType & { description?: string | undefined }>> {
  return schema instanceof z.ZodObject ? schema.shape : {}
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((at, key) => {
    return typeof at === 'object' && at !== null && Object.hasOwn(at, key)
      ? (at as Record<PropertyKey, unknown>)[key]
      : undefined
  }, input)
}
