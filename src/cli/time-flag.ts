import { MOMENT_FORMS, parseMoment, type RangeEnd } from '../domain/moment.ts'
import { isoMicros } from '../domain/time.ts'
import { TapelineError } from '../errors.ts'
import { type Flags, textFlag } from './command.ts'

/**
 * A flag that takes a time, as ISO 8601 in UTC with microseconds: what is relative to now is settled once, however many requests follow.
 * Raises USAGE.
 */
export function timeFlag(flags: Flags, name: string, end: RangeEnd): string | undefined {
  const text = textFlag(flags, name)
  if (text === undefined) return undefined
  const micros = parseMoment(text, end, Date.now())
  if (micros !== undefined) return isoMicros(micros)
  throw new TapelineError('USAGE', `--${name} takes ${MOMENT_FORMS}; not ${JSON.stringify(text)}`)
}
