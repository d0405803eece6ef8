import { hasKey, useKey, watchRequests } from './api.ts'
import { element, fill } from './element.ts'
import { nothingHere } from './nothing-here.ts'
import { catchLinks, match, type Route } from './router.ts'
import { createShell } from './shell.ts'
import { signIn } from './sign-in.ts'

const ROUTES: readonly Route[] = [
  { path: '/', title: 'Overview', load: async () => (await import('./views/overview.ts')).overview },
  { path: '/machines', title: 'Machines', load: async () => (await import('./views/machines.ts')).machines },
  {
    path: '/machines/:machine',
    title: 'Machines',
    load: async () => (await import('./views/machines.ts')).machines,
  },
  { path: '/markets', title: 'Markets', load: async () => (await import('./views/markets.ts')).markets },
  {
    path: '/markets/:exchange/:symbol',
    title: 'Market',
    load: async () => (await import('./views/market.ts')).market,
  },
  { path: '/streams', title: 'Streams', load: async () => (await import('./views/streams.ts')).streams },
  { path: '/streams/:id', title: 'Stream', load: async () => (await import('./views/stream.ts')).stream },
  { path: '/data', title: 'Data', load: async () => (await import('./views/data.ts')).data },
  { path: '/health', title: 'Health', load: async () => (await import('./views/health.ts')).health },
]

const shell = createShell({
  signOut: () => {
    useKey(undefined)
    location.reload()
  },
})
document.body.append(shell.element)

let visit = new AbortController()

/** Opens the view of the address. */
async function open(): Promise<void> {
  visit.abort()
  visit = new AbortController()
  const { signal } = visit
  const found = match(ROUTES, location.pathname)
  shell.mark(location.pathname)
  document.title = found === undefined ? 'Tapeline' : `${found.route.title} · Tapeline`
  if (found === undefined) return show(nothingHere('There is no such page'))
  try {
    const view = await found.route.load()
    if (signal.aborted) return
    show(view({ parts: found.parts, query: new URLSearchParams(location.search), signal }))
  } catch {
    if (!signal.aborted)
      show(element('p', { class: 'empty' }, 'This view could not be loaded. Load the page again.'))
  }
}

function show(view: HTMLElement): void {
  fill(shell.main, view)
  shell.main.scrollTo(0, 0)
}

let isAsking = false

watchRequests((outcome) => {
  if (outcome !== 'unauthorized') return shell.answers(outcome === 'answered')
  if (isAsking) return
  isAsking = true
  visit.abort()
  shell.rest()
  const onKey = (key: string): void => {
    useKey(key)
    location.reload()
  }
  show(signIn({ wasWrong: hasKey(), onKey }))
})

catchLinks((path) => match(ROUTES, path) !== undefined)
addEventListener('popstate', () => {
  if (!isAsking) void open()
})
void open()
