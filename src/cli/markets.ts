import { marketsSchema } from '../gateway/schemas/market-data.ts'
import { requirePlatform, TARGET_HELP, TARGET_OPTIONS } from './api-client.ts'
import { type Command, expectWords, textFlag } from './command.ts'
import { printTable } from './table.ts'

const HELP = `
Usage: tapeline markets [--symbol SYMBOL] [--exchange NAME] [--search TEXT] [--stored] [--json]

Lists the markets that are stored and those that the exchanges of the sources list, as the running platform tells them: with the
exchange's own name, whether they can be traded, whether a source is asked for them, and the time of the last stored trade.

  --symbol SYMBOL  a symbol or a glob, such as BTC-USD or 'BTC-*' (default: all)
  --exchange NAME  such as coinbase (default: all)
  --search TEXT    a part of the symbol or of the exchange's own name, or a glob such as '*-USDT' (default: all)
  --stored         only those with stored trades
  --json           print {"markets": [...]}, as the API has them
${TARGET_HELP}

Examples:
  tapeline markets
  tapeline markets --exchange kraken --search xbt
  tapeline markets --symbol 'ETH-*' --exchange coinbase --stored
`

export const command: Command = {
  name: 'markets',
  help: HELP,
  options: {
    ...TARGET_OPTIONS,
    symbol: { type: 'string' },
    search: { type: 'string' },
    stored: { type: 'boolean' },
    exchange: { type: 'string' },
    json: { type: 'boolean' },
  },
  async run(flags, words, terminal) {
    expectWords(words, '', 0)
    const search = new URLSearchParams()
    for (const name of ['symbol', 'exchange', 'search']) {
      const value = textFlag(flags, name)
      if (value !== undefined) search.set(name, value)
    }
    if (flags['stored']) search.set('stored', 'true')
    const client = requirePlatform(flags)
    const markets: (typeof marketsSchema)['_output']['markets'][number][] = []
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
    if (markets.length === 0) terminal.note('Nothing matches.')
    const columns = ['SYMBOL', 'EXCHANGE', 'ITS NAME', 'STATUS', 'READ', 'LAST', 'TRADES']
    await printTable(terminal, columns, markets, ({ symbol, exchange, last, trades, listing, read }) => [
      ...[symbol, exchange, listing?.name ?? '', listing?.status ?? ''],
      ...[read === null ? '' : read ? 'yes' : 'no', last ?? '', String(trades)],
    ])
    return 0
  },
}
