import { INTERVALS } from '../domain/events.ts'
import { MOMENT_FORMS } from '../domain/moment.ts'
import { symbolMatcher } from '../domain/routing.ts'
import { isAbort, TapelineError, toTapelineError } from '../errors.ts'
import { openStoreAlone } from '../topology/engines.ts'
import { TARGET_HELP, TARGET_OPTIONS, targetConfig, throughPlatformOr } from './api-client.ts'
import { type Command, expectWords, type Flags, type Terminal, textFlag } from './command.ts'
import { FORMATS, type Row } from './export/formats.ts'
import { type Journal, openJournal } from './export/journal.ts'
import { fileOutput, streamOutput } from './export/output.ts'
import {
  firstPlace,
  type Pages,
  type Place,
  pagesOf,
  platformRows,
  type RowSource,
  storedRows,
} from './export/pages.ts'
import { formatOf, type Selection, selectionOf, symbolsOf } from './export/selection.ts'
import { openLog } from './platform-flags.ts'
import { createOutage } from './tail/outage.ts'

const HELP = `
Usage: tapeline export --symbol SYMBOL[,SYMBOL...] [--exchange NAME] [--from TIME] [--to TIME]
                       [--channel CHANNEL] [--interval I] [--origin O] [--format FORMAT]
                       [--out FILE] [--force] [--resume] [--data DIR] [--config FILE] [--api URL]

Writes the stored rows of symbols into a file, symbol after symbol, each from the oldest on: through the
platform while one runs, else from the server that the configuration names, or the data folder itself.
However many there are, only some are in memory. The file appears under its name once it is whole. A
platform that goes away meanwhile is waited for.

  --symbol SYMBOLS    such as BTC-USD, several with commas; a glob such as 'ETH-*' takes what is stored
                      (which needs an admin key from another machine)
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
  --resume            keep what is written when it is interrupted, in FILE.part; the same command goes on there
${TARGET_HELP}

Examples:
  tapeline export --symbol BTC-USD --from 2026-11-24 --to 2026-11-24 --out btc.parquet
  tapeline export --symbol BTC-USD --exchange coinbase --from 1h > btc.csv
  tapeline export --symbol 'BTC-*,ETH-USD' --from 2020-01-01 --out years.parquet --resume
  tapeline export --symbol ETH-USD --channel candle --interval 15m --out eth-15m.csv
`

export const command: Command = {
  name: 'export',
  help: HELP,
  options: {
    ...TARGET_OPTIONS,
    symbol: { type: 'string', multiple: true },
    exchange: { type: 'string' },
    from: { type: 'string' },
    to: { type: 'string' },
    channel: { type: 'string' },
    interval: { type: 'string' },
    origin: { type: 'string' },
    format: { type: 'string' },
    out: { type: 'string' },
    force: { type: 'boolean' },
    resume: { type: 'boolean' },
  },
  async run(flags, words, terminal) {
    expectWords(words, '', 0)
    const wanted = symbolsOf(flags)
    const selection = selectionOf(flags)
    const out = textFlag(flags, 'out')
    if (flags['resume'] === true && out === undefined)
      throw new TapelineError('USAGE', '--resume needs --out FILE')
    const target = await openTarget(flags, selection, out, terminal)
    try {
      const rows = await exportRows(flags, wanted, target, terminal)
      await target.finish()
      terminal.note(
        `${rows.toLocaleString('en')} ${rows === 1 ? 'row' : 'rows'}${out === undefined ? '' : ` in ${out}`}`,
      )
      return 0
    } catch (error) {
      const kept = await target.abandon()
      if (kept !== undefined) terminal.note(`${kept} rows are kept: the same command goes on after them`)
      throw error
    }
  },
}

type Former = NonNullable<Journal['former']>

/** Where rows go. */
interface Target {
  readonly selection: Selection
  /** What an export with the same flags has done already. */
  readonly former: Former | undefined
  begin(symbols: readonly string[]): Promise<void>
  write(rows: readonly Row[], next: Place | undefined): Promise<void>
  finish(): Promise<void>
  /** Gives how many rows are kept for another time. */
  abandon(): Promise<number | undefined>
}

async function openTarget(
  flags: Flags,
  selection: Selection,
  out: string | undefined,
  { stdout }: Terminal,
): Promise<Target> {
  const format = formatOf(flags, out)
  const replace = flags['force'] === true
  const { channel } = selection
  if (out !== undefined && flags['resume'] === true) {
    const journal = await openJournal(out, { channel, format, asked: askedFor(flags), replace })
    let rows = journal.former?.rows ?? 0
    return {
      selection: journal.former?.selection ?? selection,
      former: journal.former,
      begin: (symbols) => journal.begin({ selection, symbols }),
      async write(page, next) {
        await journal.write(page, next)
        rows += page.length
      },
      finish: () => journal.finish(),
      async abandon() {
        await journal.close()
        return rows
      },
    }
  }
  const output = out === undefined ? streamOutput(stdout) : await fileOutput(out, replace)
  const writer = FORMATS[format](channel, output)
  return {
    selection,
    former: undefined,
    begin: async () => {},
    write: (rows) => writer.write(rows),
    async finish() {
      await writer.end()
      await output.finish()
    },
    async abandon() {
      await output.abandon()
      return undefined
    },
  }
}

/** The flags that decide what stands in the file, as they were given. */
function askedFor(flags: Flags): string {
  const names = ['symbol', 'exchange', 'from', 'to', 'channel', 'interval', 'origin', 'format']
  return names.flatMap((name) => (flags[name] === undefined ? [] : [`--${name} ${flags[name]}`])).join(' ')
}

interface Opened {
  readonly pages: Pages
  readonly symbols: readonly string[]
  /** The first page is read already: what cannot be read at all fails before anything is written. */
  readonly first: readonly Row[] | undefined
  close(): Promise<void>
}

/** Gives the number of rows. */
async function exportRows(
  flags: Flags,
  wanted: readonly string[],
  target: Target,
  terminal: Terminal,
): Promise<number> {
  const { former } = target
  const { pages, symbols, first, close } = await openPages(flags, wanted, target, terminal.signal)
  try {
    let count = former?.rows ?? 0
    if (former === undefined) await target.begin(symbols)
    else terminal.note(`going on after ${count.toLocaleString('en')} rows`)
    const progress = createProgress(terminal, symbols)
    for (let rows = first; rows !== undefined; rows = await nextPage(pages, terminal)) {
      await target.write(rows, pages.place)
      count += rows.length
      progress(count, rows.at(-1))
    }
    return count
  } finally {
    await close()
  }
}

function openPages(
  flags: Flags,
  wanted: readonly string[],
  { selection, former }: Target,
  signal: AbortSignal,
): Promise<Opened> {
  const opened = async (source: RowSource, close: () => Promise<void>): Promise<Opened> => {
    try {
      const symbols = former?.symbols ?? (await matching(source, wanted, signal))
      const start = former === undefined ? firstPlace(symbols) : former.place
      const pages = pagesOf(source, symbols, start)
      return { pages, symbols, first: await pages.next(signal), close }
    } catch (error) {
      await close()
      throw error
    }
  }
  return throughPlatformOr(
    flags,
    (client) => opened(platformRows(client, selection), async () => {}),
    async () => {
      const config = targetConfig(flags)
      const alone = await openStoreAlone(config, openLog(config.log.level), signal, { mustExist: true })
      return opened(storedRows(alone.store, selection), () => alone.close())
    },
  )
}

/** The symbols as they are named, and those that are stored and match a glob. Raises USAGE where none is. */
async function matching(
  source: RowSource,
  wanted: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const globs = wanted.filter((each) => each.includes('*'))
  if (globs.length === 0) return wanted
  const tests = globs.map(symbolMatcher)
  const found = (await source.symbols(signal)).filter((symbol) => tests.some((matches) => matches(symbol)))
  const symbols = [...new Set([...wanted.filter((each) => !each.includes('*')), ...found])].toSorted()
  if (symbols.length > 0) return symbols
  throw new TapelineError('USAGE', `--symbol ${wanted.join()}: no symbol that is stored matches`)
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
function createProgress(
  terminal: Terminal,
  symbols: readonly string[],
): (count: number, last: Row | undefined) => void {
  let next = performance.now() + PROGRESS_MS
  return (count, last) => {
    if (performance.now() < next || last === undefined) return
    next = performance.now() + PROGRESS_MS
    const symbol = String(last['symbol'])
    const which =
      symbols.length > 1 ? ` of ${symbol} (${symbols.indexOf(symbol) + 1} of ${symbols.length})` : ''
    terminal.note(`${count.toLocaleString('en')} rows, up to ${String(last['ts'])}${which}`)
  }
}
