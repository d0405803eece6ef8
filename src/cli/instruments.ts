import { kindOf, SOURCE_NAMES, type SourceName } from '../adapters/source/index.ts'
import { loadConfig, sourcesOf } from '../config.ts'
import { didYouMean } from '../domain/near.ts'
import { symbolMatcher } from '../domain/routing.ts'
import { TapelineError } from '../errors.ts'
import { openListing } from '../topology/sources.ts'
import { type Command, expectWords, textFlag } from './command.ts'
import { printTable } from './table.ts'

const HELP = `
Usage: tapeline instruments [--exchange NAME] [--search GLOB] [--json]

Lists what an exchange trades, as the exchange itself tells at this moment: with our symbol, its own name, and the smallest
steps of prices and sizes. No platform need run.

  --exchange NAME  such as binance (default: the exchanges of the configured sources)
  --search GLOB    symbols such as 'SOL-*' or '*-USDT' (default: all)
  --config FILE    configuration file (default: tapeline.yaml where it exists)
  --json           print {"instruments": [...]}

Examples:
  tapeline instruments --exchange binance --search '*-USDT'
  tapeline instruments --exchange kraken --search 'BTC-*' --json
`

export const command: Command = {
  name: 'instruments',
  help: HELP,
  options: {
    exchange: { type: 'string' },
    search: { type: 'string' },
    config: { type: 'string' },
    json: { type: 'boolean' },
  },
  async run(flags, words, terminal) {
    expectWords(words, '', 0)
    const config = loadConfig({ file: textFlag(flags, 'config'), environment: process.env })
    const exchange = textFlag(flags, 'exchange')
    const configured = sourcesOf(config)
    const asked =
      exchange === undefined
        ? configured
        : [
            configured.find((each) => each.kind === exchange || each.exchange === exchange) ?? {
              kind: namedKind(exchange),
            },
          ]
    const matches = symbolMatcher((textFlag(flags, 'search') ?? '*').toUpperCase())
    const lists = await Promise.all(
      asked.map(async (settings) => {
        const list = await openListing(settings)
        if (list !== undefined) return list(terminal.signal)
        terminal.note(`${kindOf(settings).title} does not tell what it trades.`)
        return []
      }),
    )
    const instruments = lists.flat().filter(({ symbol }) => matches(symbol))
    if (flags['json']) {
      terminal.print(JSON.stringify({ instruments }))
      return 0
    }
    if (instruments.length === 0) terminal.note('Nothing matches.')
    const columns = ['EXCHANGE', 'SYMBOL', 'ITS NAME', 'TICK', 'LOT', 'TRADING']
    await printTable(terminal, columns, instruments, ({ symbol, name, tick, lot, isTrading, ...each }) => [
      ...[each.exchange, symbol, name, tick ?? '', lot ?? '', isTrading ? 'yes' : 'no'],
    ])
    return 0
  },
}

function namedKind(exchange: string): SourceName {
  const found = SOURCE_NAMES.find((name) => name === exchange)
  if (found !== undefined) return found
  throw new TapelineError(
    'CONFIG_INVALID',
    `no source is called ${exchange}${didYouMean(exchange, SOURCE_NAMES)}`,
    {
      remedy: `Take one of ${SOURCE_NAMES.join(', ')}.`,
    },
  )
}
