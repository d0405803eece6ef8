import { askText } from './api.ts'
import { element, fill, setText } from './element.ts'
import { short } from './format.ts'
import type { MachineName } from './platform.ts'
import type { Transition } from './transitions.ts'

/** How long a state glows after it was left, and an edge after it was taken, in milliseconds. */
const GLOW_MS = 900

/** The picture of a machine, which the platform draws from the machine itself. */
export interface Statechart {
  /** Lights the state that an actor is in. */
  light(state: string | undefined): void
  /** Lets the states and edges of these steps glow for a moment. */
  trace(steps: readonly Transition[]): void
  /** Writes on the edges how often they were taken, all processes together. */
  count(counts: readonly Readonly<Record<string, number>>[]): void
}

/** Fetches the picture, puts it into an element, and changes it from then on. */
export function openStatechart(machine: MachineName, parent: HTMLElement, signal: AbortSignal): Statechart {
  let parts: ReadonlyMap<string, Element> = new Map()
  let lit: string | undefined
  let totals: ReadonlyMap<string, number> = new Map()
  const glowing = new Map<Element, ReturnType<typeof setTimeout>>()

  const nodeOf = (state: string): Element | undefined => parts.get(`${machine}.${state}`)

  function showLight(): void {
    for (const part of parts.values()) if (part.classList.contains('live')) part.classList.remove('live')
    if (lit !== undefined) nodeOf(lit)?.classList.add('live')
  }

  function showCounts(): void {
    for (const [id, total] of totals) {
      const edge = parts.get(id)
      const text = [...(edge?.querySelectorAll('text') ?? [])].at(-1)
      if (edge === undefined || text === undefined) continue
      edge.classList.add('taken')
      setText(text, short(total))
    }
  }

  function glow(part: Element | undefined): void {
    if (part === undefined) return
    clearTimeout(glowing.get(part))
    part.classList.add('glow')
    glowing.set(
      part,
      setTimeout(() => part.classList.remove('glow'), GLOW_MS),
    )
  }

  async function load(): Promise<void> {
    const text = await askText(`/diagrams/${machine}.svg`, signal)
    const drawn = new DOMParser().parseFromString(text, 'image/svg+xml').documentElement
    for (const each of drawn.querySelectorAll('title')) each.remove()
    // What is shown when the pointer rests on a part: an attribute that HTML does not know.
    for (const link of drawn.querySelectorAll('a')) {
      const words = link.getAttribute('xlink:title')
      link.removeAttribute('xlink:title')
      if (words === null) continue
      const title = document.createElementNS('http://www.w3.org/2000/svg', 'title')
      title.textContent = words
      link.prepend(title)
    }
    const svg = document.importNode(drawn, true)
    parts = new Map([...svg.querySelectorAll('[id]')].map((part) => [part.id, part]))
    for (const text of svg.querySelectorAll('.edge text:last-of-type')) text.classList.add('count')
    fill(parent, svg)
    showLight()
    showCounts()
  }

  load().catch(() => {
    if (!signal.aborted) fill(parent, element('p', { class: 'empty' }, 'The picture could not be loaded.'))
  })

  return {
    light(state) {
      if (state === lit) return
      lit = state
      showLight()
    },
    trace(steps) {
      for (const { from, event, to } of steps) {
        glow(parts.get(`${machine}.${from}.${event}.${to}`))
        glow(nodeOf(to))
      }
    },
    count(counts) {
      const sums = new Map<string, number>()
      for (const each of counts)
        for (const [id, times] of Object.entries(each))
          if (id.startsWith(`${machine}.`)) sums.set(id, (sums.get(id) ?? 0) + times)
      totals = sums
      showCounts()
    },
  }
}
