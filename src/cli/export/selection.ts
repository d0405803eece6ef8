import { extname } from 'node:path'
import { z } from 'zod'
import { INTERVALS } from '../../domain/events.ts'
import { exchangeSchema, globSchema } from '../../domain/market-names.ts'
import { type RowChannel, STORED_ROWS } from '../../domain/stored-rows.ts'
import { TapelineError } from '../../errors.ts'
import { choiceFlag, type Flags, textFlag } from '../command.ts'
import { timeFlag } from '../time-flag.ts'
import { FORMATS, type FormatName } from './formats.ts'

const CHANNELS = Object.keys(STORED_ROWS) as RowChannel[]
const ORIGINS = ['trades', 'source'] as const

/** What is exported of each symbol, as a journal keeps it. */
export const selectionSchema = z.strictObject({
  channel: z.enum(CHANNELS),
  exchange: z.string().exactOptional(),
  from: z.string().exactOptional(),
  to: z.string().exactOptional(),
  interval: z.enum(INTERVALS).exactOptional(),
  origin: z.enum(ORIGINS).exactOptional(),
})

/** Times are ISO 8601, both ends included. Interval and origin are of candles. */
export type Selection = Readonly<z.output<typeof selectionSchema>>

/** What the flags choose. Raises USAGE. */
export function selectionOf(flags: Flags): Selection {
  const channel = choiceFlag(flags, 'channel', CHANNELS) ?? 'trade'
  const exchange = textFlag(flags, 'exchange')
  const [from, to] = [timeFlag(flags, 'from', 'first'), timeFlag(flags, 'to', 'last')]
  if (from !== undefined && to !== undefined && from > to)
    throw new TapelineError('USAGE', '--from lies after --to')
  const interval = choiceFlag(flags, 'interval', INTERVALS)
  const origin = choiceFlag(flags, 'origin', ORIGINS)
  if (channel !== 'candle' && (interval ?? origin) !== undefined)
    throw new TapelineError('USAGE', '--interval and --origin go with --channel candle')
  return {
    channel,
    ...(exchange !== undefined && { exchange: nameIn('exchange', exchange, exchangeSchema) }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(interval !== undefined && { interval }),
    ...(origin !== undefined && { origin }),
  }
}

/** The symbols and globs that the flag `--symbol` names, each once. Raises USAGE. */
export function symbolsOf(flags: Flags): readonly string[] {
  const texts = [flags['symbol'] ?? []].flat().flatMap((text) => String(text).split(','))
  if (texts.length === 0) throw new TapelineError('USAGE', '--symbol is missing')
  return [...new Set(texts.map((text) => nameIn('symbol', text.trim(), globSchema)))]
}

/** A name of a market or an exchange. Raises USAGE. */
function nameIn(flag: string, text: string, schema: typeof globSchema): string {
  const parsed = schema.safeParse(text)
  if (parsed.success) return parsed.data
  throw new TapelineError('USAGE', `--${flag} ${JSON.stringify(text)} ${parsed.error.issues[0]?.message}`)
}

/** Raises USAGE. */
export function formatOf(flags: Flags, out: string | undefined): FormatName {
  const names = Object.keys(FORMATS) as FormatName[]
  const ending = extname(out ?? '').slice(1)
  const format = choiceFlag(flags, 'format', names) ?? names.find((name) => name === ending) ?? 'csv'
  if (format === 'parquet' && out === undefined)
    throw new TapelineError('USAGE', '--format parquet needs --out FILE')
  return format
}
