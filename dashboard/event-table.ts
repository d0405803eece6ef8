import { element, fill } from './element.ts'
import { decimal, timeOfMicros } from './format.ts'

type Event = Readonly<Record<string, unknown>>

/** Fields in the order in which they are shown; others follow. */
const ORDER = [
  'ts',
  'exchange',
  'symbol',
  'side',
  'price',
  'size',
  'bid',
  'ask',
  'open',
  'high',
  'low',
  'close',
  'volume',
  'bids',
  'asks',
]
/** What only programs want to know. */
const LEFT_OUT = new Set(['recvTs', 'type'])

/** Events of any channel with a column for each field that they have. */
export function createEventTable(nothing: string): {
  readonly element: HTMLElement
  show(events: readonly Event[]): void
} {
  const head = element('tr')
  const body = element('tbody')
  const empty = element('p', { class: 'empty' }, nothing)
  const table = element('table', { hidden: true, class: 'events' }, element('thead', {}, head), body)
  return {
    element: element(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Events' },
      empty,
      table,
    ),
    show(events) {
      const fields = fieldsOf(events)
      empty.hidden = events.length > 0
      table.hidden = events.length === 0
      const look = (name: string): string =>
        name !== 'ts' && events.some((event) => typeof event[name] === 'number') ? 'number' : ''
      fill(head, ...fields.map((name) => element('th', { scope: 'col', class: look(name) }, name)))
      fill(
        body,
        ...events.map((event) => element('tr', {}, ...fields.map((name) => cell(name, event[name])))),
      )
    },
  }
}

function fieldsOf(events: readonly Event[]): readonly string[] {
  const found = new Set(events.flatMap((event) => Object.keys(event)).filter((name) => !LEFT_OUT.has(name)))
  return [...ORDER.filter((name) => found.has(name)), ...[...found].filter((name) => !ORDER.includes(name))]
}

function cell(name: string, value: unknown): HTMLElement {
  if (name === 'ts' && typeof value === 'number') return element('td', {}, timeOfMicros(value))
  if (typeof value === 'number') return element('td', { class: 'number' }, decimal(value))
  if (name === 'bids' || name === 'asks') return element('td', {}, levelsText(value))
  const look = value === 'buy' ? 'up' : value === 'sell' ? 'down' : ''
  return element(
    'td',
    { class: look },
    typeof value === 'object' ? JSON.stringify(value).slice(0, 120) : String(value ?? ''),
  )
}

/** The levels of one side of a book: the best of them, and how many there are. */
function levelsText(levels: unknown): string {
  if (!Array.isArray(levels) || levels.length === 0) return 'none'
  const [price, size] = levels[0] as readonly number[]
  const best = `${decimal(price ?? 0)} × ${decimal(size ?? 0)}`
  return levels.length === 1 ? best : `${best} and ${levels.length - 1} more`
}
