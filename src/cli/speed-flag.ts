import { TapelineError } from '../errors.ts'
import { type Flags, textFlag } from './command.ts'

/** How many times as fast as it was recorded; undefined where nothing is said. Raises USAGE. */
export function speedFlag(flags: Flags): number | 'fastest' | undefined {
  const text = textFlag(flags, 'speed')
  if (text === undefined || text === 'fastest') return text
  const speed = text === 'recorded' ? 1 : Number(text)
  if (speed > 0 && Number.isFinite(speed)) return speed
  throw new TapelineError(
    'USAGE',
    `--speed takes recorded, fastest or a number above 0, not ${JSON.stringify(text)}`,
  )
}
