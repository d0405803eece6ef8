import type { z } from 'zod'
import { gapsSchema } from '../gateway/schemas/market-data.ts'
import { requirePlatform, TARGET_HELP, TARGET_OPTIONS } from './api-client.ts'
import { type Command, countFlag, expectWords, textFlag } from './command.ts'
import { printTable } from './table.ts'
import { timeFlag } from './time-flag.ts'

type GapsPage = z.output<typeof gapsSchema>
type Gap = GapsPage['gaps'][number]

const USUAL = 50
const MOST_IN_PAGE = 1_000

const HELP = `
Usage: tapeline gaps [--exchange NAME] [--symbol SYMBOL] [--from TIME] [--to TIME] [--limit N] [--json]

Lists the gaps that were flagged, the latest first: when trades of a market may be missing, why, and whether history
has filled it since. Ends with 0 whether there are any or not.

  --exchange NAME  such as coinbase (default: all)
  --symbol SYMBOL  such as BTC-USD (default: all)
  --from TIME      leave out those that end before: 1h, 7d, 2026-11-24 or 2026-11-24T08:30:00Z
  --to TIME        leave out those that begin after
  --limit N        at most so many (default: ${USUAL})
  --json           print {"gaps": [...]}, as the API has them
${TARGET_HELP}

Examples:
  tapeline gaps
  tapeline gaps --exchange coinbase --symbol BTC-USD --from 7d
`

export const command: Command = {
  name: 'gaps',
  help: HELP,
  options: {
    ...TARGET_OPTIONS,
    exchange: { type: 'string' },
    symbol: { type: 'string' },
    from: { type: 'string' },
    to: { type: 'string' },
    limit: { type: 'string' },
    json: { type: 'boolean' },
  },
  async run(flags, words, terminal) {
    expectWords(words, '', 0)
    const limit = countFlag(flags, 'limit', 1) ?? USUAL
    const search = new URLSearchParams()
    const asked = {
      exchange: textFlag(flags, 'exchange'),
      symbol: textFlag(flags, 'symbol'),
      from: timeFlag(flags, 'from', 'first'),
      to: timeFlag(flags, 'to', 'last'),
    }
    for (const [name, value] of Object.entries(asked)) if (value !== undefined) search.set(name, value)
    const client = requirePlatform(flags)
    const gaps: Gap[] = []
    for (let cursor: string | null = ''; cursor !== null && gaps.length < limit; ) {
      if (cursor !== '') search.set('cursor', cursor)
      search.set('limit', String(Math.min(limit - gaps.length, MOST_IN_PAGE)))
      const page: GapsPage = await client.call(`/v1/gaps?${search}`, gapsSchema, terminal.signal)
      gaps.push(...page.gaps)
      cursor = page.next
    }
    if (flags['json']) {
      terminal.print(JSON.stringify({ gaps }))
      return 0
    }
    if (gaps.length === 0) terminal.note('No gap was flagged.')
    const columns = ['SYMBOL', 'EXCHANGE', 'FROM', 'TO', 'CAUSE', 'FILLED']
    await printTable(terminal, columns, gaps, ({ symbol, exchange, source, from, to, cause, filled }) => [
      ...[symbol ?? 'all', exchange ?? `all of ${source}`, from, to, cause ?? '', filled ? 'yes' : 'no'],
    ])
    return 0
  },
}
