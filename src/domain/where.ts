import { Environment, ParseError } from '@marcbachmann/cel-js'
import { EVENT_FIELDS } from './event-fields.ts'
import type { Channel, EventOf } from './events.ts'
import { compile } from './where-compiler.ts'
import { beginEvaluation } from './where-effort.ts'
import { WhereFault } from './where-types.ts'

/** How long an expression may be, in characters. */
export const MOST_WHERE_CHARACTERS = 1024

/** Bounds of an expression (R16): no event waits noticeably for the largest. */
const LIMITS = { maxAstNodes: 64, maxDepth: 24, maxListElements: 32, maxMapEntries: 0, maxCallArguments: 3 }

/** A filter that was checked. */
export interface Where {
  /** In canonical form: two that ask for the same in other blanks, quotes or brackets have the same text. */
  readonly text: string
  /** Whether the filter takes an event. Where a value that decides is missing it does not. */
  accepts(event: EventOf[Channel]): boolean
}

/** What is wrong with a filter. */
export interface WhereProblem {
  readonly message: string
  /** Where in the text, the first character being 1. */
  readonly position: number
  readonly remedy: string
}

const environment = new Environment({ unlistedVariablesAreDyn: true, limits: LIMITS })

/**
 * Reads a filter, an expression of CEL (https://cel.dev) over the fields of a channel's events, and makes a function of its checked
 * syntax tree (R16). All numbers are doubles.
 */
export function parseWhere(channel: Channel, text: string): Where | WhereProblem {
  if (text.length > MOST_WHERE_CHARACTERS) {
    const message = `is longer than ${MOST_WHERE_CHARACTERS} characters`
    return { message, position: MOST_WHERE_CHARACTERS + 1, remedy: 'Filter the rest in the application.' }
  }
  try {
    if (!text.isWellFormed()) throw new WhereFault('is not well-formed text', 0, 'Send valid UTF-8.')
    const root = environment.parse(text).ast
    const { type, run, text: canonical } = compile(root, { fields: EVENT_FIELDS[channel] })
    if (type !== 'flag')
      throw new WhereFault('gives a value, not yes or no', root.start, 'Compare it: size >= 1.')
    return {
      text: canonical,
      accepts: (event) => {
        beginEvaluation()
        return run(event as unknown as Record<string, unknown>, null) === true
      },
    }
  } catch (error) {
    return problemOf(error)
  }
}

function problemOf(error: unknown): WhereProblem {
  if (error instanceof WhereFault)
    return { message: error.message, position: error.start + 1, remedy: error.remedy }
  if (!(error instanceof ParseError)) throw error
  const message = error.summary.charAt(0).toLowerCase() + error.summary.slice(1)
  return {
    message,
    position: (error.range?.start ?? 0) + 1,
    remedy: 'Write it as size >= 0.5 && side == "buy".',
  }
}
