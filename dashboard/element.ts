/** What may stand in an element. Text goes in as text, never as HTML; nothing of false, null and undefined. */
export type Child = Node | string | number | false | null | undefined

type Listeners = { readonly [E in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[E]) => void }

/** Attributes by name. `on` has listeners; false and undefined leave an attribute out, true gives it without a value. */
export interface Attributes {
  readonly on?: Listeners
  readonly [name: string]: string | number | boolean | undefined | Listeners
}

const SVG = 'http://www.w3.org/2000/svg'

/** An element of HTML. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  return dress(document.createElement(tag), attributes, children)
}

/** An element of SVG. */
export function shape<Tag extends keyof SVGElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[Tag] {
  return dress(document.createElementNS(SVG, tag), attributes, children)
}

function dress<E extends Element>(
  made: E,
  { on = {}, ...attributes }: Attributes,
  children: readonly Child[],
): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === undefined || typeof value === 'object') continue
    made.setAttribute(name, value === true ? '' : String(value))
  }
  for (const [name, listener] of Object.entries(on)) made.addEventListener(name, listener as EventListener)
  fill(made, ...children)
  return made
}

/** Puts these children in the place of those that an element has. */
export function fill(parent: Element, ...children: readonly Child[]): void {
  parent.replaceChildren(...shown(children))
}

function shown(children: readonly Child[]): (Node | string)[] {
  return children.flatMap((child) => {
    if (child === false || child === null || child === undefined) return []
    return [typeof child === 'number' ? String(child) : child]
  })
}

/** Sets a text only where it is another, so that nothing is drawn anew and no selection is lost. */
export function setText(target: Element, text: string): void {
  if (target.textContent !== text) target.textContent = text
}
