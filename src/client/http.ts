import { doubled } from '../async/back-off.ts'
import { delay } from '../async/timers.ts'

/** What the platform refused, with its problem document. Source: RFC 9457. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  /** Stable: decide by it. Source: docs/errors.md. */
  readonly code: string
  readonly status: number
  /** What the caller can do. */
  readonly remedy: string
  /** The parts of the request that are not acceptable. */
  readonly errors: readonly { readonly field: string; readonly message: string; readonly remedy: string }[]

  constructor(problem: Problem, status: number) {
    super(`${problem.code}: ${problem.detail}`)
    this.code = problem.code
    this.status = status
    this.remedy = problem.remedy ?? ''
    this.errors = problem.errors ?? []
  }
}

interface Problem {
  readonly code: string
  readonly detail: string
  readonly remedy?: string
  readonly errors?: ApiError['errors']
}

/** Where a platform is, and the key of the application. */
export interface Address {
  /** Without a slash at its end. */
  readonly url: string
  readonly key: string | undefined
}

interface Call {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly body?: unknown
  readonly signal?: AbortSignal | undefined
}

const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 30_000

/** How long to wait after so many failures in a row: doubled each time, with full jitter. Milliseconds. */
export function backOff(failures: number): number {
  return Math.random() * doubled(FIRST_WAIT_MS, LONGEST_WAIT_MS, failures)
}

/** Whether the same request may be answered later: the platform is away, starts, or has too much to do. */
export function isPassing(error: unknown): boolean {
  return !(error instanceof ApiError) || error.status >= 500 || error.status === 429
}

/** Sends a request and reads the answer. Raises ApiError for what is refused, and what `fetch` raises where nobody answers. */
export async function call<T>(
  { url, key }: Address,
  path: string,
  { method = 'GET', body, signal }: Call = {},
): Promise<T> {
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(signal !== undefined && { signal }),
  })
  const text = await response.text()
  if (response.ok) return (text === '' ? undefined : JSON.parse(text)) as T
  throw new ApiError(problemIn(text, response.status), response.status)
}

/** The same, asked again for as long as that may help. Only for what may be asked twice. */
export async function callUntilAnswered<T>(address: Address, path: string, options: Call = {}): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await call<T>(address, path, options)
    } catch (error) {
      options.signal?.throwIfAborted()
      if (!isPassing(error)) throw error
      await delay(backOff(failures), options.signal)
    }
  }
}

/** Also of what stands in front of the platform and answers in its own words. */
function problemIn(text: string, status: number): Problem {
  try {
    const found = JSON.parse(text) as Partial<Problem> | null
    if (typeof found?.code === 'string') return { detail: '', ...found, code: found.code }
  } catch {
    // It is no JSON.
  }
  return { code: `HTTP_${status}`, detail: text.slice(0, 200) }
}
