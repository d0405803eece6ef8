import type { z } from 'zod'

/** An issue as an error map of zod gets it: not worded yet. */
type Issue = Parameters<z.core.$ZodErrorMap>[0]

const TYPES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  tuple: 'a list',
  object: 'an object',
  record: 'an object',
  null: 'null',
  date: 'a date',
}

/** In what a sized value is counted. */
const UNITS: Readonly<Record<string, string>> = { string: 'characters', array: 'entries', set: 'entries' }

/**
 * What is wrong with a value, as the rest of a sentence that begins with the name of its field: `must be at least 1`. The error map of
 * every parse whose issues a person reads; where a schema has words of its own, those are taken.
 */
export function issueWords(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is missing' : `is not ${typeWords(issue.expected)}`
    case 'invalid_value':
      return `is not ${alternatives(issue.values.map(String))}`
    case 'invalid_union':
      return unionWords(issue.errors)
    case 'too_small':
      return bound(issue.origin, issue.minimum, issue.inclusive === false ? 'more than' : 'at least')
    case 'too_big':
      return bound(issue.origin, issue.maximum, issue.inclusive === false ? 'less than' : 'at most')
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`
    case 'invalid_format':
      return issue.format === 'regex'
        ? 'has another form than it must have'
        : `is not a valid ${issue.format}`
    case 'unrecognized_keys':
      return `has what is not known there: ${issue.keys.join(', ')}`
    case 'invalid_key':
    case 'invalid_element':
      return `has a part that is not acceptable`
    case 'custom':
      return 'is not acceptable'
  }
}

function bound(origin: string, limit: number | bigint | Date, how: string): string {
  const unit = UNITS[origin]
  if (unit === undefined) return `must be ${how} ${limit}`
  if (how === 'at least' && Number(limit) === 1) return 'is empty'
  return `must have ${how} ${limit} ${unit}`
}

/** Of a value that fits none of several types, which these are. */
function unionWords(errors: readonly (readonly z.core.$ZodIssue[])[]): string {
  const types = errors.flatMap(([first]) =>
    first?.code === 'invalid_type' ? [typeWords(first.expected)] : [],
  )
  return types.length === errors.length && types.length > 0
    ? `is not ${alternatives([...new Set(types)])}`
    : 'has none of the forms that it may have'
}

function typeWords(type: string): string {
  return TYPES[type] ?? `a ${type}`
}

function alternatives(values: readonly string[]): string {
  const last = values.at(-1) ?? 'anything'
  return values.length < 2 ? last : `${values.slice(0, -1).join(', ')} or ${last}`
}
