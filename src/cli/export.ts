import { extname } from 'node:path'
import { INTERVALS } from '../domain/events.ts'
import { exchangeSchema, symbolSchema } from '../domain/market-names.ts'
import { MOMENT_FORMS } from '../domain/moment.ts'
import { type RowChannel, STORED_ROWS } from '../domain/stored-rows.ts'
import { isAbort, TapelineError, toTapelineError } from '../errors.ts'
import { openStoreAlone } from '../topology/engines.ts'
import { TARGET_HELP, TARGET_OPTIONS, targetConfig, throughPlatformOr } from './api-client.ts'
import { type Command, choiceFlag, expectWords, type Flags, type Terminal, textFlag } from './command.ts'
import { FORMATS, type FormatName, type Row } from './export/formats.ts'
import { fileOutput, type Output, streamOutput } from './export/output.ts'
import { type Pages, platformPages, type Selection, storePages } from './export/pages.ts'
import { openLog } from './platform-flags.ts'
import { createOutage } from './tail/outage.ts'
import { timeFlag } from './time-flag.ts'

const HELP = `
Usage: tapeline export --symbol SYMBOL [--exchange NAME] [--from TIME] [--to TIME] [--channel CHANNEL]
                       [--interval I] [--origin O] [--format FORMAT] [--out FILE] [--force]
                       [--data DIR] [--config FILE] [--api URL]

Writes the stored rows of a symbol into a file, from the oldest on: through the platform while one runs,
else from the server that the configuration names, or the data folder itself. However many there are,
only some are in memory. The file appears under its name once it is whole. A platform that goes away
meanwhile is waited for.

  --symbol SYMBOL     such as BTC-USD
  --exchange NAME     such as coinbase (default: all)
  --from, --to TIME   ${MOMENT_FORMS.replace('a time such as ', '')
    .replace(', a number', ',\n                      a number')
    .replace(', or how', ',\n                      or how')}
  --channel CHANNEL   trade, quote or candle (default: trade)
  --interval I        of candles: ${INTERVALS.join(', ')} (default: 1m)
  --origin O          of candles: trades (computed here), or source (as the source says) (default: trades)
  --format FORMAT     csv, ndjson or parquet (default: as FILE ends, else csv)
  --out FILE          where to; without it csv and ndjson go to standard output
  --force             replace a file that is there
${TARGET_HELP}

Examples:
  tapeline export --symbol BTC-USD --from 2026-11-24 --to 2026-11-24 --out btc.parquet
  tapeline export --symbol BTC-USD --exchange coinbase --from 1h > btc.csv
  tapeline export --symbol ETH-USD --channel candle --interval 15m --out eth-15m.csv
`

const CHANNELS = Object.keys(STORED_ROWS) as RowChannel[]

export const command: Command = {
  name: 'export',
  summary: 'write stored trades, quotes or candles as CSV, NDJSON or Parquet',
  help: HELP,
  options: {
    ...TARGET_OPTIONS,
    symbol: { type: 'string' },
    exchange: { type: 'string' },
    from: { type: 'string' },
    to: { type: 'string' },
    channel: { type: 'string' },
    interval: { type: 'string' },
    origin: { type: 'string' },
    format: { type: 'string' },
    out: { type: 'string' },
    force: { type: 'boolean' },
  },
  async run(flags, words, terminal) {
    expectWords(words, '', 0)
    const selection = selectionOf(flags)
    const out = textFlag(flags, 'out')
    const format = formatOf(flags, out)
    const output =
      out === undefined ? streamOutput(process.stdout) : await fileOutput(out, flags['force'] === true)
    try {
      const rows = await exportRows(flags, selection, format, output, terminal)
      await output.finish()
      terminal.note(
        `${rows.toLocaleString('en')} ${rows === 1 ? 'row' : 'rows'}${out === undefined ? '' : ` in ${out}`}`,
      )
      return 0
    } catch (error) {
      await output.abandon()
      throw error
    }
  },
}

/** What the flags choose. Raises USAGE. */
function selectionOf(flags: Flags): Selection {
  const channel = choiceFlag(flags, 'channel', CHANNELS) ?? 'trade'
  const symbol = nameFlag(flags, 'symbol', symbolSchema)
  if (symbol === undefined) throw new TapelineError('USAGE', '--symbol is missing')
  const exchange = nameFlag(flags, 'exchange', exchangeSchema)
  const [from, to] = [timeFlag(flags, 'from', 'first'), timeFlag(flags, 'to', 'last')]
  if (from !== undefined && to !== undefined && from > to)
    throw new TapelineError('USAGE', '--from lies after --to')
  const interval = choiceFlag(flags, 'interval', INTERVALS)
  const origin = choiceFlag(flags, 'origin', ['trades', 'source'])
  if (channel !== 'candle' && (interval ?? origin) !== undefined)
    throw new TapelineError('USAGE', '--interval and --origin go with --channel candle')
  return {
    channel,
    symbol,
    ...(exchange !== undefined && { exchange }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(interval !== undefined && { interval }),
    ...(origin !== undefined && { origin }),
  }
}

/** A flag that takes the name of a market or an exchange. Raises USAGE. */
function nameFlag(flags: Flags, name: string, schema: typeof symbolSchema): string | undefined {
  const text = textFlag(flags, name)
  if (text === undefined) return undefined
  const parsed = schema.safeParse(text)
  if (parsed.success) return parsed.data
  throw new TapelineError('USAGE', `--${name} ${JSON.stringify(text)} ${parsed.error.issues[0]?.message}`)
}

/** Raises USAGE. */
function formatOf(flags: Flags, out: string | undefined): FormatName {
  const names = Object.keys(FORMATS) as FormatName[]
  const ending = extname(out ?? '').slice(1)
  const format = choiceFlag(flags, 'format', names) ?? names.find((name) => name === ending) ?? 'csv'
  if (format === 'parquet' && out === undefined)
    throw new TapelineError('USAGE', '--format parquet needs --out FILE')
  return format
}

interface Opened {
  readonly pages: Pages
  /** The first page is read already: what cannot be read at all fails before anything is written. */
  readonly first: readonly Row[] | undefined
  close(): Promise<void>
}

/** Gives the number of rows. */
async function exportRows(
  flags: Flags,
  selection: Selection,
  format: FormatName,
  output: Output,
  terminal: Terminal,
): Promise<number> {
  const { pages, first, close } = await openPages(flags, selection, terminal.signal)
  try {
    const writer = FORMATS[format](selection.channel, output)
    const progress = createProgress(terminal)
    let count = 0
    for (let rows = first; rows !== undefined; rows = await nextPage(pages, terminal)) {
      await writer.write(rows)
      count += rows.length
      progress(count, rows.at(-1))
    }
    await writer.end()
    return count
  } finally {
    await close()
  }
}

function openPages(flags: Flags, selection: Selection, signal: AbortSignal): Promise<Opened> {
  const opened = async (pages: Pages, close: () => Promise<void>): Promise<Opened> => {
    try {
      return { pages, first: await pages.next(signal), close }
    } catch (error) {
      await close()
      throw error
    }
  }
  return throughPlatformOr(
    flags,
    (client) => opened(platformPages(client, selection), async () => {}),
    async () => {
      const config = targetConfig(flags)
      const alone = await openStoreAlone(config, openLog(config.log.level), signal, { mustExist: true })
      return opened(storePages(alone.store, selection), () => alone.close())
    },
  )
}

/** How long an export waits for a platform that was there when it began. */
const OUTAGE_MS = 300_000

/** The next page; while the platform is away it is asked for again. */
async function nextPage(pages: Pages, terminal: Terminal): Promise<readonly Row[] | undefined> {
  const outage = createOutage(terminal)
  const began = performance.now()
  for (;;) {
    try {
      const rows = await pages.next(terminal.signal)
      outage.over()
      return rows
    } catch (error) {
      if (isAbort(error) || performance.now() - began > OUTAGE_MS) throw error
      await outage.wait(toTapelineError(error), terminal.signal)
    }
  }
}

const PROGRESS_MS = 2_000

/** Says how far the export is, every two seconds. */
function createProgress(terminal: Terminal): (count: number, last: Row | undefined) => void {
  let next = performance.now() + PROGRESS_MS
  return (count, last) => {
    if (performance.now() < next) return
    next = performance.now() + PROGRESS_MS
    terminal.note(`${count.toLocaleString('en')} rows, up to ${String(last?.['ts'] ?? '')}`)
  }
}
