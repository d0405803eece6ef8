import { element, fill, setText, shape } from './element.ts'
import { words } from './format.ts'
import type { Actor, MachineName } from './platform.ts'

/** The parts of the way, and where each leads. */
const NODES = {
  source: { title: 'Source', href: '/health' },
  producer: { title: 'Producer', href: '/machines/producer', machine: 'producer' },
  fixed: { title: 'Fixed topics', href: '/markets' },
  consumerFixed: { title: 'Consumer, fixed', href: '/machines/consumerFixed', machine: 'consumerFixed' },
  database: { title: 'TimescaleDB', href: '/data' },
  coordinator: { title: 'Coordinator', href: '/machines/coordinator', machine: 'coordinator' },
  dynamic: { title: 'Dynamic topics', href: '/streams' },
  consumerDynamic: {
    title: 'Consumer, dynamic',
    href: '/machines/consumerDynamic',
    machine: 'consumerDynamic',
  },
  applications: { title: 'Applications', href: '/streams' },
} as const satisfies Readonly<
  Record<string, { readonly title: string; readonly href: string; readonly machine?: MachineName }>
>
type NodeName = keyof typeof NODES

/** From which part an arrow leads to which. */
const ARROWS = {
  fetch: ['source', 'producer'],
  publish: ['producer', 'fixed'],
  read: ['fixed', 'consumerFixed'],
  write: ['consumerFixed', 'database'],
  derive: ['producer', 'dynamic'],
  follow: ['dynamic', 'consumerDynamic'],
  deliver: ['consumerDynamic', 'applications'],
  ask: ['applications', 'coordinator'],
  tell: ['coordinator', 'producer'],
} as const satisfies Readonly<Record<string, readonly [NodeName, NodeName]>>
type ArrowName = keyof typeof ARROWS

/** What the picture shows now. */
export interface Figures {
  readonly actors: readonly Actor[]
  /** Below the title of a part that is no machine. */
  readonly notes: Readonly<Partial<Record<NodeName, string>>>
  /** What is wrong with a part that is no machine, in its note's place. */
  readonly troubles: Readonly<Partial<Record<NodeName, string | false>>>
  /** Whether the page cannot know of other processes' machines: they are heard of by the broker. */
  readonly isDeaf: boolean
  readonly arrows: Readonly<
    Record<ArrowName, { readonly flow: number | undefined; readonly text: string; readonly more?: string }>
  >
}

interface Layout {
  readonly width: number
  readonly height: number
  readonly node: { readonly width: number; readonly height: number }
  /** Whether there is room below an arrow for a second figure. */
  readonly hasRoom: boolean
  readonly at: Readonly<Record<NodeName, readonly [x: number, y: number]>>
  /** The line of each arrow, and where its text stands. */
  readonly lines: Readonly<
    Record<ArrowName, { readonly path: string; readonly text: readonly [number, number] }>
  >
}

/** For a screen that is wider than high. Places are those of the middle of a part. */
const WIDE: Layout = {
  width: 1120,
  height: 346,
  node: { width: 160, height: 66 },
  hasRoom: true,
  at: {
    source: [82, 42],
    producer: [321, 42],
    fixed: [560, 42],
    consumerFixed: [799, 42],
    database: [1038, 42],
    coordinator: [321, 302],
    dynamic: [560, 180],
    consumerDynamic: [799, 180],
    applications: [1038, 180],
  },
  lines: {
    fetch: { path: 'M162 42H235', text: [200, 28] },
    publish: { path: 'M401 42H474', text: [438, 28] },
    read: { path: 'M640 42H713', text: [677, 28] },
    write: { path: 'M879 42H952', text: [916, 28] },
    derive: { path: 'M366 75V166Q366 180 380 180H474', text: [424, 166] },
    follow: { path: 'M640 180H713', text: [677, 166] },
    deliver: { path: 'M879 180H952', text: [916, 166] },
    ask: { path: 'M1038 213V288Q1038 302 1024 302H408', text: [720, 292] },
    tell: { path: 'M296 269V82', text: [218, 180] },
  },
}

/** For a phone: from the top down. */
const TALL: Layout = {
  width: 362,
  height: 640,
  node: { width: 158, height: 62 },
  hasRoom: false,
  at: {
    source: [94, 33],
    producer: [94, 149],
    fixed: [280, 149],
    consumerFixed: [280, 265],
    database: [280, 381],
    coordinator: [94, 605],
    dynamic: [94, 265],
    consumerDynamic: [94, 381],
    applications: [94, 493],
  },
  lines: {
    fetch: { path: 'M94 64V112', text: [94, 92] },
    publish: { path: 'M173 149H195', text: [187, 106] },
    read: { path: 'M280 180V228', text: [322, 208] },
    write: { path: 'M280 296V344', text: [316, 324] },
    derive: { path: 'M94 180V228', text: [130, 208] },
    follow: { path: 'M94 296V344', text: [94, 324] },
    deliver: { path: 'M94 412V456', text: [130, 440] },
    ask: { path: 'M94 524V568', text: [152, 550] },
    tell: { path: 'M15 605H14Q4 605 4 595V159Q4 149 9 149', text: [246, 610] },
  },
}

interface Picture {
  readonly element: HTMLElement
  show(figures: Figures): void
}

/** The way of the data, wide or tall as there is room. */
export function openPicture(signal: AbortSignal): Picture {
  const parent = element('div', { class: 'picture' })
  const isNarrow = matchMedia('(max-width: 760px)')
  let drawn = draw(isNarrow.matches ? TALL : WIDE)
  let latest: Figures | undefined
  fill(parent, drawn.svg)
  isNarrow.addEventListener(
    'change',
    () => {
      drawn = draw(isNarrow.matches ? TALL : WIDE)
      fill(parent, drawn.svg)
      if (latest !== undefined) drawn.show(latest)
    },
    { signal },
  )
  return {
    element: parent,
    show(figures) {
      latest = figures
      drawn.show(figures)
    },
  }
}

function draw(layout: Layout) {
  const nodes = names(NODES).map((name) => drawNode(name, layout))
  const arrows = names(ARROWS).map((name) => drawArrow(name, layout))
  const tip = shape(
    'marker',
    { id: 'tip', viewBox: '0 0 8 8', refX: 6, refY: 4, markerWidth: 7, markerHeight: 7, orient: 'auto' },
    shape('path', { d: 'M0 0L8 4L0 8Z', class: 'tip' }),
  )
  const svg = shape(
    'svg',
    { viewBox: `0 0 ${layout.width} ${layout.height}`, role: 'group', 'aria-label': 'The way of the data' },
    shape('defs', {}, tip),
    ...arrows.map((arrow) => arrow.element),
    ...nodes.map((node) => node.element),
  )
  return {
    svg,
    show(figures: Figures) {
      for (const node of nodes) node.show(figures)
      for (const arrow of arrows) arrow.show(figures)
    },
  }
}

function drawNode(name: NodeName, { at, node: { width, height } }: Layout) {
  const { title, href, ...rest } = NODES[name]
  const [x, y] = at[name]
  const note = shape('text', { x, y: y + 16, class: 'note' })
  const box = shape('rect', { x: x - width / 2, y: y - height / 2, width, height, rx: 12 })
  const link = shape(
    'a',
    { href, class: 'machine' in rest ? 'part machine' : 'part', 'data-part': name },
    box,
    shape('text', { x, y: y - 4, class: 'title' }, title),
    note,
  )
  return {
    element: link,
    show({ actors, notes, troubles, isDeaf }: Figures) {
      if (!('machine' in rest)) {
        const trouble = troubles[name] || undefined
        link.classList.toggle('bad', trouble !== undefined)
        return setText(note, trouble ?? notes[name] ?? '')
      }
      const own = actors.filter(({ machine }) => machine === rest.machine)
      const failing = own.filter(({ errorInfo }) => errorInfo !== null)
      const state = failing[0]?.state ?? own[0]?.state
      link.classList.toggle('bad', failing.length > 0)
      link.classList.toggle('good', own.length > 0 && failing.length === 0)
      const none = isDeaf ? 'not heard of' : 'none runs'
      setText(note, state === undefined ? none : own.length > 1 ? `${own.length} run` : words(state))
    },
  }
}

function drawArrow(name: ArrowName, { lines, hasRoom }: Layout) {
  const { path, text: place } = lines[name]
  const line = shape('path', { d: path, class: 'line', 'marker-end': 'url(#tip)' })
  const moving = shape('path', { d: path, class: 'moving' })
  const text = shape('text', { x: place[0], y: place[1] })
  const more = shape('text', { x: place[0], y: place[1] + 32, class: 'more' })
  return {
    element: shape('g', { class: 'arrow', 'data-arrow': name }, line, moving, text, more),
    show({ arrows }: Figures) {
      const { flow = 0, text: words, more: further = '' } = arrows[name]
      moving.classList.toggle('flows', flow > 0)
      setText(text, words)
      setText(more, hasRoom && further !== '–' ? further : '')
    },
  }
}

function names<Name extends string>(table: Readonly<Record<Name, unknown>>): readonly Name[] {
  return Object.keys(table) as Name[]
}
