/** What a view gets: the parts of its address, and the signal that it is left. */
export interface Visit {
  readonly parts: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly signal: AbortSignal
}

/** A view: it gives its element at once and fills it as answers come. */
type OpenView = (visit: Visit) => HTMLElement

/** A view with its address; `:name` is a part of it. */
export interface Route {
  readonly path: string
  readonly title: string
  readonly load: () => Promise<OpenView>
}

/** The route of a path, and the parts of it. */
export function match(
  routes: readonly Route[],
  path: string,
): { readonly route: Route; readonly parts: Record<string, string> } | undefined {
  const given = path.replace(/\/+$/, '').split('/')
  for (const route of routes) {
    const wanted = route.path.replace(/\/+$/, '').split('/')
    if (wanted.length !== given.length) continue
    const parts: Record<string, string> = {}
    const fits = wanted.every((part, i) => {
      if (!part.startsWith(':')) return part === given[i]
      parts[part.slice(1)] = decode(given[i] ?? '')
      return true
    })
    if (fits) return { route, parts }
  }
  return undefined
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}

/** Goes to an address of the page. */
export function go(address: string, { replace = false } = {}): void {
  if (replace) history.replaceState(null, '', address)
  else history.pushState(null, '', address)
  dispatchEvent(new PopStateEvent('popstate'))
}

/** Writes an address without opening the view anew: it says what the view shows now. */
export function note(address: string): void {
  history.replaceState(null, '', address)
}

/** Has links within the page open views without loading it anew. */
export function catchLinks(isOurs: (path: string) => boolean): void {
  document.addEventListener('click', (event) => {
    const isPlain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey)
    const link = event.target instanceof Element ? event.target.closest('a') : null
    const address = link?.getAttribute('href')
    if (!isPlain || event.defaultPrevented || !address?.startsWith('/') || link?.hasAttribute('download'))
      return
    if (!isOurs(new URL(address, location.origin).pathname)) return
    event.preventDefault()
    go(address)
  })
}
