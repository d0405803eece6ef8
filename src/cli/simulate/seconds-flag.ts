import { TapelineError } from '../../errors.ts'
import { type Flags, textFlag } from '../command.ts'

/** Seconds above 0, a day at most. Raises USAGE. */
export function secondsFlag(flags: Flags, name: string): number | undefined {
  const text = textFlag(flags, name)
  if (text === undefined) return undefined
  const seconds = Number(text)
  if (text.trim() !== '' && seconds > 0 && seconds <= 86_400) return seconds
  throw new TapelineError('USAGE', `--${name} takes seconds above 0, not ${JSON.stringify(text)}`)
}
