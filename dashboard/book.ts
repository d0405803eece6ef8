import type { Book } from '../src/client/index.ts'
import { ask } from './api.ts'
import { element, fill, setText } from './element.ts'
import { follow } from './follow.ts'
import { decimal, digitsOf } from './format.ts'

const SHOWN_LEVELS = 10

interface BookView {
  readonly element: HTMLElement
  /** Follows the book until the view is left. */
  follow(market: { readonly exchange: string; readonly symbol: string; readonly ttl: string }): Promise<void>
}

/** The best levels of a market's order book, the asks above the bids; nothing where the platform keeps none of it. */
export function createBookView(signal: AbortSignal): BookView {
  const note = element('p', { class: 'bad', role: 'status', hidden: true })
  const body = element('tbody')
  const heads = ['Side', 'Price', 'Size'].map((name, i) =>
    element('th', { scope: 'col', class: i > 0 && 'number' }, name),
  )
  const table = element('table', {}, element('thead', {}, element('tr', {}, ...heads)), body)
  const card = element(
    'div',
    { class: 'card', id: 'book', hidden: true },
    element('h2', {}, 'Order book'),
    note,
    table,
  )

  function show({ bids, asks, doubt }: Pick<Book, 'bids' | 'asks' | 'doubt'>): void {
    card.hidden = false
    note.hidden = doubt === undefined
    table.hidden = doubt !== undefined
    if (doubt !== undefined) {
      setText(note, `In doubt (${doubt}): nobody may use it until the exchange sends it anew.`)
      return
    }
    const digits = digitsOf([...asks, ...bids].map(([price]) => price))
    fill(
      body,
      ...asks.toReversed().map((level) => row('ask', level, digits)),
      ...bids.map((level) => row('bid', level, digits)),
    )
  }

  return {
    element: card,
    async follow({ exchange, symbol, ttl }) {
      const market = { symbols: [symbol], exchanges: [exchange] }
      const { looked = 0 } = await ask<{ looked?: number }>('/v1/streams/preview', {
        ...{ method: 'POST', body: { channel: 'book', ...market } },
        signal,
      })
      // Where no source gives books a stream of them would wait in vain.
      if (looked === 0) return
      const request = { ...market, depth: SHOWN_LEVELS, every: '500ms', ttl }
      await follow({ channel: 'book', ...request }, signal, show)
    },
  }
}

function row(side: 'bid' | 'ask', [price, size]: readonly [number, number], digits: number): HTMLElement {
  return element(
    'tr',
    {},
    element('td', { class: side === 'bid' ? 'up' : 'down' }, side),
    element('td', { class: 'number' }, decimal(price, digits)),
    element('td', { class: 'number' }, decimal(size)),
  )
}
