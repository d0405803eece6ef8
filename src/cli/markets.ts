import { marketsSchema } from '../gateway/schemas.ts'
import { requirePlatform, TARGET_HELP, TARGET_OPTIONS } from './api-client.ts'
import { type Command, expectWords, textFlag } from './command.ts'
import { printTable } from './table.ts'

const HELP = `
Usage: tapeline markets [--symbol SYMBOL] [--exchange NAME] [--json]

Lists the markets whose trades are stored, with the time of the first and the last one and their number, as the
running platform tells them.

  --symbol SYMBOL  a symbol or a glob, such as BTC-USD or 'BTC-*' (default: all)
  --exchange NAME  such as coinbase (default: all)
  --json           print what the API answers
${TARGET_HELP}

Examples:
  tapeline markets
  tapeline markets --symbol 'ETH-*' --exchange coinbase
`

export const command: Command = {
  name: 'markets',
  summary: 'list the markets that are stored',
  help: HELP,
  options: {
    ...TARGET_OPTIONS,
    symbol: { type: 'string' },
    exchange: { type: 'string' },
    json: { type: 'boolean' },
  },
  async run(flags, words, terminal) {
    expectWords(words, '', 0)
    const search = new URLSearchParams()
    for (const name of ['symbol', 'exchange']) {
      const value = textFlag(flags, name)
      if (value !== undefined) search.set(name, value)
    }
    const answer = await requirePlatform(flags).call(`/v1/markets?${search}`, marketsSchema, terminal.signal)
    if (flags['json']) {
      terminal.print(JSON.stringify(answer))
      return 0
    }
    if (answer.markets.length === 0) terminal.note('No trades are stored.')
    const columns = ['SYMBOL', 'EXCHANGE', 'FIRST', 'LAST', 'TRADES']
    await printTable(terminal, columns, answer.markets, ({ symbol, exchange, first, last, trades }) => [
      ...[symbol, exchange, first, last, String(trades)],
    ])
    if (!answer.complete) terminal.note('There are more: name some with --symbol or --exchange.')
    return 0
  },
}
