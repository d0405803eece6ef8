import { type Address, ApiError, call } from '../src/client/http.ts'
import { type Client, createClient } from '../src/client/index.ts'

const KEPT_AS = 'tapeline-key'
const ANSWER_WITHIN_MS = 12_000

/** The key that somebody signed in with: until the tab is closed. */
let key = sessionStorage.getItem(KEPT_AS) ?? undefined

/** What wants to know how requests fare: whether the platform answers, and whether a key is needed. */
type Outcome = 'answered' | 'away' | 'unauthorized'
type Witness = (outcome: Outcome) => void
const witnesses = new Set<Witness>()

/** Has somebody told of each request how it fared, until a view is left. */
export function watchRequests(witness: Witness, signal?: AbortSignal): void {
  witnesses.add(witness)
  signal?.addEventListener('abort', () => witnesses.delete(witness))
}

function tell(outcome: Outcome): void {
  for (const witness of witnesses) witness(outcome)
}

/** Signs in with a key, or out without one. */
export function useKey(given: string | undefined): void {
  key = given
  if (given === undefined) sessionStorage.removeItem(KEPT_AS)
  else sessionStorage.setItem(KEPT_AS, given)
}

/** Whether somebody signed in. */
export function hasKey(): boolean {
  return key !== undefined
}

const address = (): Address => ({ url: location.origin, key })

/** The client of applications, as whoever signed in. */
export function client(): Client {
  return createClient(key === undefined ? {} : { key })
}

/** The address of a WebSocket of the platform; a browser sets no headers there, so the key stands in it. */
export function socketUrl(path: string): string {
  const query = key === undefined ? '' : `?key=${encodeURIComponent(key)}`
  return `${location.origin.replace(/^http/, 'ws')}${path}${query}`
}

interface Options {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly body?: unknown
  readonly signal?: AbortSignal
}

/** Asks the API. Raises ApiError for what it refuses, and what `fetch` raises where nobody answers. */
export async function ask<T>(path: string, options: Options = {}): Promise<T> {
  return watched(options.signal, (signal) => call<T>(address(), path, { ...options, signal }))
}

/** Asks for something that is no JSON, such as metrics or a diagram. */
export async function askText(path: string, signal?: AbortSignal): Promise<string> {
  return watched(signal, async (stop) => {
    const headers = key === undefined ? {} : { authorization: `Bearer ${key}` }
    const answer = await fetch(path, { headers, signal: stop })
    if (answer.ok) return answer.text()
    throw new ApiError({ code: `HTTP_${answer.status}`, detail: path }, answer.status)
  })
}

async function watched<T>(
  signal: AbortSignal | undefined,
  request: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = AbortSignal.timeout(ANSWER_WITHIN_MS)
  try {
    const answer = await request(signal === undefined ? deadline : AbortSignal.any([signal, deadline]))
    tell('answered')
    return answer
  } catch (error) {
    if (signal?.aborted) throw error
    if (!(error instanceof ApiError)) tell('away')
    else tell(error.status === 401 ? 'unauthorized' : 'answered')
    throw error
  }
}

/** Whether the key of this page may not do what was asked for. */
function isForbidden(error: unknown): boolean {
  return error instanceof ApiError && error.code === 'FORBIDDEN'
}

/** What to show of a failure. */
export function wordsOf(error: unknown): string {
  if (error instanceof ApiError) {
    const parts = error.errors.map(({ field, message }) => `${field} ${message}`)
    if (parts.length > 0) return parts.join('; ')
    const message = error.message.replace(/^[A-Z_0-9]+: /, '')
    return isForbidden(error) ? `${message}: it needs an admin key, or one with more scopes` : message
  }
  return 'the platform does not answer'
}

/**
 * Runs something at once and then again and again until a view is left, not while the tab is hidden. A failure is shown by the head of the page,
 * which watches all requests; the next time comes all the same.
 */
export function repeat(everyMs: number, signal: AbortSignal, run: () => Promise<void>): void {
  const round = async (): Promise<void> => {
    if (signal.aborted) return
    if (!document.hidden) await run().catch(() => undefined)
    if (!signal.aborted) setTimeout(round, everyMs)
  }
  void round()
}
