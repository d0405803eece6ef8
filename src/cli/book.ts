import type { z } from 'zod'
import { pause } from '../async/timers.ts'
import { parseMarket } from '../domain/market-names.ts'
import { isoMicros } from '../domain/time.ts'
import { TapelineError } from '../errors.ts'
import { bookSchema } from '../gateway/schemas/market-data.ts'
import { requirePlatform, TARGET_HELP, TARGET_OPTIONS } from './api-client.ts'
import { type Command, expectWords, type Terminal, textFlag } from './command.ts'
import { printTable } from './table.ts'

const HELP = `
Usage: tapeline book EXCHANGE:SYMBOL [--depth N] [--watch] [--json]

Shows the order book of a market, as the log has it: asks above bids, the best ones in the middle. It fails (exit
code 1) where there is none, and where the book may be wrong.

  --depth N   so many levels of each side (default: 10)
  --watch     again whenever it has changed, about once a second, until Ctrl-C; a book in doubt is said, and waited for
  --json      print what the API answers, a line each time
${TARGET_HELP}

Examples:
  tapeline book kraken:BTC-USD
  tapeline book kraken:BTC-USD --depth 3 --watch
`

const WATCH_MS = 1_000
const USUAL_DEPTH = '10'

type Book = z.output<typeof bookSchema>

export const command: Command = {
  name: 'book',
  help: HELP,
  options: {
    ...TARGET_OPTIONS,
    depth: { type: 'string' },
    watch: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  async run(flags, words, terminal) {
    expectWords(words, 'EXCHANGE:SYMBOL', 1)
    const market = parseMarket(words[0] ?? '')
    if (market === undefined)
      throw new TapelineError('USAGE', `${words[0]} is not a market such as kraken:BTC-USD`)
    const search = new URLSearchParams({ depth: textFlag(flags, 'depth') ?? USUAL_DEPTH })
    const path = `/v1/books/${market.exchange}/${encodeURIComponent(market.symbol)}?${search}`
    const client = requirePlatform(flags)
    const ask = () => client.call(path, bookSchema, terminal.signal)
    const show = (book: Book) =>
      flags['json'] ? terminal.print(JSON.stringify(book)) : print(book, terminal)
    if (flags['watch']) await watch(ask, show, terminal)
    else await show(await ask())
    return 0
  },
}

/** Shows the book each time that it is another one. A doubt passes; that there is no book does not. */
async function watch(
  ask: () => Promise<Book>,
  show: (book: Book) => Promise<void> | void,
  terminal: Terminal,
): Promise<void> {
  let shown = ''
  while (!terminal.signal.aborted) {
    try {
      const book = await ask()
      if (book.position !== shown) await show(book)
      shown = book.position
    } catch (error) {
      if (terminal.signal.aborted) return
      if (!(error instanceof TapelineError) || error.code !== 'BOOK_IN_DOUBT') throw error
      if (error.message !== shown) terminal.note(error.message)
      shown = error.message
    }
    await pause(WATCH_MS, terminal.signal)
  }
}

async function print(
  { exchange, symbol, bids, asks, ts, position }: Book,
  terminal: Terminal,
): Promise<void> {
  const rows = [
    ...asks.toReversed().map(([price, size]) => ['ask', String(price), String(size)]),
    ...bids.map(([price, size]) => ['bid', String(price), String(size)]),
  ]
  terminal.print(`${exchange} ${symbol}  ${isoMicros(ts)}  ${position}`)
  await printTable(terminal, ['SIDE', 'PRICE', 'SIZE'], rows, (row) => row)
}
