import { z } from 'zod'
import { parseDuration } from './domain/time.ts'

/** A duration with its default, in milliseconds. `leastMs` and `mostMs` are the shortest and the longest that make sense; 0 is taken where the meaning says so. */
export const duration = (
  text: string,
  meaning: string,
  { leastMs = 0, mostMs = Number.POSITIVE_INFINITY, orZero = false } = {},
) =>
  z
    .union([z.string(), z.number()])
    .default(text)
    .transform((value, context) => {
      const millis = parseDuration(value)
      if (millis === undefined) context.addIssue('is not a duration such as 250ms, 30s, 5m, 1h, 7d')
      else if (millis < leastMs && !(orZero && millis === 0))
        context.addIssue(`is shorter than ${leastMs / 1000} s`)
      else if (millis > mostMs) context.addIssue(`is longer than ${mostMs / 1000} s`)
      return millis ?? 0
    })
    .describe(meaning)

/** A duration without a default of its own: where it is not set, each source follows the rules of its service. */
export const sourceDuration = (meaning: string) =>
  z
    .union([z.string(), z.number()])
    .transform((value, context) => {
      const millis = parseDuration(value)
      if (millis === undefined || millis === 0) context.addIssue('is not a duration such as 250ms, 30s, 5m')
      return millis ?? 0
    })
    .optional()
    .describe(meaning)

/** A duration that is chosen at each start where it is not set. */
export const chosenDuration = (meaning: string, leastMs: number) =>
  z
    .union([z.string(), z.number()])
    .transform((value, context) => {
      const millis = parseDuration(value)
      if (millis === undefined) context.addIssue('is not a duration such as 250ms, 30s, 5m, 1h, 7d')
      else if (millis < leastMs) context.addIssue(`is shorter than ${leastMs / 1000} s`)
      return millis ?? 0
    })
    .optional()
    .describe(meaning)

/** A whole number, in YAML or as text, between two bounds, with its default. */
export const count = (least: number, most: number, value: number, meaning: string) =>
  z
    .preprocess(
      (given) => (typeof given === 'string' && given.trim() !== '' ? Number(given) : given),
      z.number().int().min(least).max(most),
    )
    .default(value)
    .describe(meaning)

/**
 * The entries of a list: of YAML, or text with commas, blanks or both between them, as environment variables and flags give it. Empty
 * ones do not count. What is no list stays as it is.
 */
export function entriesOf(value: unknown): unknown {
  if (typeof value === 'string') return value.split(/[\s,]+/).filter(Boolean)
  return Array.isArray(value)
    ? value.flatMap((entry) => (typeof entry === 'string' ? entriesOf(entry) : [entry]))
    : value
}

/** A list as `entriesOf` reads it. */
export const list = <T extends z.ZodType>(item: T) => z.preprocess(entriesOf, z.array(item))

/** A flag in YAML, or the words true and false, as environment variables give it. */
export const flag = (value: boolean, meaning: string) =>
  z
    .preprocess((given) => (given === 'true' ? true : given === 'false' ? false : given), z.boolean())
    .default(value)
    .describe(meaning)

/** Part of a name on a broker that may be shared with others, whose names often have several parts. */
export const topicPrefix = (text: string, meaning: string) =>
  z
    .string()
    .regex(
      /^[a-z][a-z0-9-]*(\.[a-z0-9-]+)*$/,
      'takes lower-case letters, digits and -, in parts with dots between',
    )
    .max(64)
    .default(text)
    .describe(meaning)

/** The path of a file; not set: none. */
export const file = (meaning: string) => z.string().min(1).optional().describe(meaning)
