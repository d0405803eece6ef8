import { ask, repeat } from '../api.ts'
import { element } from '../element.ts'
import { count, moment, span } from '../format.ts'
import { note, type Visit } from '../router.ts'
import { createTable } from '../table.ts'

interface Market {
  readonly exchange: string
  readonly symbol: string
  readonly first: string
  readonly last: string
  readonly trades: number
}

/** The markets that the database has trades of; each leads to its chart. */
export function markets({ signal, query }: Visit): HTMLElement {
  let all: readonly Market[] = []
  const search = element('input', {
    type: 'search',
    'aria-label': 'Find a market',
    placeholder: 'Find: btc kraken',
    value: query.get('find') ?? '',
    on: { input: () => find() },
  })
  const table = createTable(
    ['Market', 'Exchange', 'Trades', 'Last trade', 'Since'],
    'No trade is stored yet: wait some seconds.',
    { isWhole: true },
  )

  function find(): void {
    const wanted = search.value.trim()
    note(wanted === '' ? '/markets' : `/markets?${new URLSearchParams({ find: wanted })}`)
    show()
  }

  function show(): void {
    const words = search.value.toLowerCase().split(/\s+/)
    const found = all.filter(({ exchange, symbol }) =>
      words.every((word) => `${exchange} ${symbol}`.toLowerCase().includes(word)),
    )
    table.show(
      found.map(({ exchange, symbol, first, last, trades }) => [
        element('a', { href: addressOf(exchange, symbol) }, symbol),
        exchange,
        count(trades),
        `${span(Date.now() - Date.parse(last))} ago`,
        moment(first),
      ]),
      all.length > 0 ? `No market has ${JSON.stringify(search.value.trim())} in its name.` : undefined,
    )
  }

  repeat(5_000, signal, async () => {
    all = (await ask<{ markets: readonly Market[] }>('/v1/markets?stored=true', { signal })).markets
    show()
  })
  return element(
    'section',
    { class: 'stack' },
    element('div', { class: 'row apart' }, element('h1', {}, 'Markets'), search),
    element('div', { class: 'card markets' }, table.element),
  )
}

/** The address of a market's chart. */
function addressOf(exchange: string, symbol: string): string {
  return `/markets/${encodeURIComponent(exchange)}/${encodeURIComponent(symbol)}`
}
