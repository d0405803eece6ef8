import { type Child, element, fill, setText } from './element.ts'

interface Table {
  readonly element: HTMLElement
  /** Shows these rows; where there is none, what is said of that. */
  show(rows: readonly (readonly Child[])[], nothing?: string): void
}

interface TableOptions {
  /** On a phone: each cell under the other with its head beside it, or all as on a screen, to be scrolled. */
  readonly narrow?: 'stack' | 'scroll'
  /** As long as it is, where it is what the view is for. */
  readonly isWhole?: true
}

/** A table with heads, and a sentence for when there is nothing. It scrolls by itself where it is too wide. */
export function createTable(
  heads: readonly string[],
  nothing: string,
  { narrow = 'scroll', isWhole }: TableOptions = {},
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
      {
        class: isWhole ? 'scroll whole' : 'scroll',
        tabindex: '0',
        role: 'region',
        'aria-label': heads.join(', '),
      },
      empty,
      table,
    ),
    show(rows, said = nothing) {
      setText(empty, said)
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
