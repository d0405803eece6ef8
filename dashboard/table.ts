import { type Child, element, fill } from './element.ts'

interface Table {
  readonly element: HTMLElement
  show(rows: readonly (readonly Child[])[]): void
}

interface TableOptions {
  /** On a phone: each cell under the other with its head beside it, or all as on a screen, to be scrolled. */
  readonly narrow?: 'stack' | 'scroll'
}

/** A table with heads, and a sentence for when there is nothing. It scrolls by itself where it is too wide. */
export function createTable(
  heads: readonly string[],
  nothing: string,
  { narrow = 'scroll' }: TableOptions = {},
): Table {
  const body = element('tbody')
  const head = element('tr', {}, ...heads.map((name) => element('th', { scope: 'col' }, name)))
  const empty = element('p', { class: 'empty' }, nothing)
  const table = element(
    'table',
    { hidden: true, class: narrow === 'stack' && 'stack-narrow' },
    element('thead', {}, head),
    body,
  )
  return {
    element: element(
      'div',
      { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': heads.join(', ') },
      empty,
      table,
    ),
    show(rows) {
      empty.hidden = rows.length > 0
      table.hidden = rows.length === 0
      fill(
        body,
        ...rows.map((cells) =>
          element('tr', {}, ...cells.map((cell, i) => element('td', { 'data-head': heads[i] }, cell))),
        ),
      )
    },
  }
}
