import { parseMarket } from '../domain/market-names.ts'
import { TapelineError } from '../errors.ts'
import { type Flags, textFlag } from './command.ts'

/** A market in canonical form; undefined where the flag is not given. Raises USAGE. */
export function marketFlag(flags: Flags): string | undefined {
  const text = textFlag(flags, 'market')
  if (text === undefined) return undefined
  const market = parseMarket(text)
  if (market !== undefined) return `${market.exchange}:${market.symbol}`
  throw new TapelineError(
    'USAGE',
    `--market takes a market such as kraken:BTC-USD, not ${JSON.stringify(text)}`,
  )
}
