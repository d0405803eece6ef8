import { element } from './element.ts'

/** What a view says where its address names nothing that is there, and where to go on. */
export function nothingHere(title: string, href = '/', where = 'Go to the overview'): HTMLElement {
  return element(
    'section',
    { class: 'empty stack' },
    element('h1', {}, title),
    element('p', {}, element('a', { href }, where)),
  )
}
