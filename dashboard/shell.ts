import { ask, hasKey, repeat } from './api.ts'
import { element, fill, setText, shape } from './element.ts'

interface Shell {
  readonly element: HTMLElement
  /** Where the view stands. */
  readonly main: HTMLElement
  /** Marks the place of an address in the navigation. */
  mark(path: string): void
  /** Asks nothing any more: it would be refused without a key. */
  rest(): void
  /** Whether the platform answers. */
  answers(isThere: boolean): void
}

/** The views in the order of the navigation, each with the lines of its sign on a ground of 24 by 24. */
const PLACES = [
  ['/', 'Overview', 'M3 12h4l3-7 4 14 3-7h4'],
  ['/machines', 'Machines', 'M4 5h6v5H4zM14 14h6v5h-6zM10 7.5h5.5a2 2 0 0 1 2 2V14'],
  ['/markets', 'Markets', 'M6 4v4M6 16v4M4 8h4v8H4zM16 3v5M16 14v5M14 8h4v6h-4z'],
  ['/streams', 'Streams', 'M3 7c3-3 6 3 9 0s6 3 9 0M3 12c3-3 6 3 9 0s6 3 9 0M3 17c3-3 6 3 9 0s6 3 9 0'],
  [
    '/data',
    'Data',
    'M4 6c0-1.7 3.6-3 8-3s8 1.3 8 3-3.6 3-8 3-8-1.3-8-3zM4 6v12c0 1.7 3.6 3 8 3s8-1.3 8-3V6M4 12c0 1.7 3.6 3 8 3s8-1.3 8-3',
  ],
  ['/health', 'Health', 'M12 20s-8-5-8-11a4.5 4.5 0 0 1 8-2.8A4.5 4.5 0 0 1 20 9c0 6-8 11-8 11z'],
] as const

const THEMES = { system: 'Light or dark as the system', light: 'Light', dark: 'Dark' } as const
type Theme = keyof typeof THEMES
const KEPT_AS = 'tapeline-theme'

/** Head, navigation and the place of the view. */
export function createShell({ signOut }: { readonly signOut: () => void }): Shell {
  const main = element('main', { id: 'view', tabindex: '-1' })
  const badge = element('span', { class: 'badge', id: 'ready', role: 'status' }, 'asking')
  const version = element('small', { class: 'soft' })
  const links = PLACES.map(([path, title, lines]) =>
    element('a', { href: path, 'data-path': path }, sign(lines), element('span', {}, title)),
  )
  const alerts = element('b', { class: 'count', hidden: true })
  links.at(-1)?.append(alerts)

  const head = element(
    'header',
    {},
    element('a', { href: '/', class: 'brand' }, logo(), element('strong', {}, 'Tapeline'), version),
    badge,
    element('span', { class: 'grow' }),
    element('a', { href: '/docs', class: 'quiet' }, 'API'),
    themeButton(),
    hasKey() && element('button', { class: 'quiet', on: { click: signOut } }, 'Sign out'),
  )
  /** Not by its address: that would open the view anew, with whatever somebody has typed in it. */
  const skipTo = (event: Event): void => {
    event.preventDefault()
    main.focus()
  }
  const skip = element('a', { class: 'skip', href: '#view', on: { click: skipTo } }, 'Skip to content')
  const nav = element('nav', { 'aria-label': 'Views' }, ...links)
  let isThere = true

  const show = (text: string, look: 'good' | 'bad' | 'soft', title = ''): void => {
    setText(badge, text)
    badge.className = `badge ${look}`
    badge.title = title
  }

  const asking = new AbortController()
  repeat(3_000, asking.signal, async () => {
    const { version: running } = await ask<{ version: string }>('/healthz')
    setText(version, running)
    const { ready, checks } = await readiness()
    const failing = checks.filter(({ ok }) => !ok)
    const text = failing.map(({ name, detail }) => (detail ? `${name}: ${detail}` : name)).join('; ')
    if (isThere) show(ready ? 'ready' : `not ready: ${text}`, ready ? 'good' : 'bad', text)
    const found = await ask<{ alerts: readonly unknown[] }>('/v1/alerts')
    alerts.hidden = found.alerts.length === 0
    fill(alerts, found.alerts.length, element('span', { class: 'unseen' }, ' alerts'))
  })

  return {
    element: element('div', { class: 'shell' }, skip, head, nav, main),
    main,
    mark(path) {
      for (const link of links) {
        const own = link.dataset['path'] ?? ''
        const isHere = own === '/' ? path === '/' : path === own || path.startsWith(`${own}/`)
        if (isHere) link.setAttribute('aria-current', 'page')
        else link.removeAttribute('aria-current')
      }
    },
    rest() {
      asking.abort()
      show('sign in', 'soft')
    },
    answers(now) {
      // What the view shows is what the platform said last.
      main.classList.toggle('stale', !now)
      if (!now) show('no answer', 'bad')
      else if (!isThere) show('back', 'soft')
      isThere = now
    },
  }
}

interface Readiness {
  readonly ready: boolean
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly detail?: string }[]
}

/** It answers 503 with the same body while something is not ready, which is no failure of the request. */
async function readiness(): Promise<Readiness> {
  const answer = await fetch('/readyz')
  return (await answer.json()) as Readiness
}

function themeButton(): HTMLElement {
  const root = document.documentElement
  const names = Object.keys(THEMES) as Theme[]
  let theme = (localStorage.getItem(KEPT_AS) as Theme | null) ?? 'system'
  const text = element('span', { class: 'unseen' })
  const button = element(
    'button',
    {
      class: 'quiet icon',
      on: {
        click: () => {
          theme = names[(names.indexOf(theme) + 1) % names.length] ?? 'system'
          localStorage.setItem(KEPT_AS, theme)
          apply()
        },
      },
    },
    sign('M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18'),
    text,
  )
  const apply = (): void => {
    if (theme === 'system') root.removeAttribute('data-theme')
    else root.setAttribute('data-theme', theme)
    button.title = THEMES[theme]
    setText(text, `Colours: ${THEMES[theme]}`)
    dispatchEvent(new Event('themechange'))
  }
  apply()
  return button
}

function sign(lines: string): SVGElement {
  return shape(
    'svg',
    { viewBox: '0 0 24 24', class: 'sign', 'aria-hidden': 'true' },
    shape('path', { d: lines }),
  )
}

function logo(): SVGElement {
  return shape(
    'svg',
    { viewBox: '0 0 32 32', class: 'logo', 'aria-hidden': 'true' },
    shape('rect', { width: 32, height: 32, rx: 8 }),
    shape('path', { d: 'M6 20h4l3-9 5 13 4-8h4' }),
  )
}
