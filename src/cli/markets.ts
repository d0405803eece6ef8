import type { Market } from '../domain/markets.ts'
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
  --json           print {"markets": [...]}, as the API has them
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
    const client = requirePlatform(flags)
    const markets: Market[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      if (cursor !== '') search.set('cursor', cursor)
      const page = await client.call(`/v1/markets?${search}`, marketsSchema, terminal.signal)
      markets.push(...page.markets)
      cursor = page.next
    }
    if (flags['json']) {
      terminal.print(JSON.stringify({ markets }))
      return 0
    }
    if (markets.length === 0) terminal.note('No trades are stored.')
    const columns = ['SYMBOL', 'EXCHANGE', 'FIRST', 'LAST', 'TRADES']
    await printTable(terminal, columns, markets, ({ symbol, exchange, first, last, trades }) => [
      ...[symbol, exchange, first, last, String(trades)],
    ])
    return 0
  },
}
