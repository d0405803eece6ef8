import { deadlineAfter } from '../../../async/timers.ts'
import { TapelineError } from '../../../errors.ts'

/** Larger than any answer to our calls; a larger one is cut off. */
const MOST_BYTES = 16 * 1024 * 1024

const SECOND_MS = 1_000
const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000

interface RestCall {
  /** How errors begin. */
  readonly way: string
  readonly timeoutMs: number
  readonly headers?: Readonly<Record<string, string>>
}

/** The address of a call: a path from the address of REST on. */
export function restUrl(address: URL, path: string, query?: Readonly<Record<string, string>>): URL {
  const url = new URL(address.href.replace(/\/$/, '') + path)
  if (query !== undefined) url.search = new URLSearchParams(query).toString()
  return url
}

/** Calls a service by REST, and gives whatever it answers. Raises SOURCE_UNAVAILABLE where no answer comes in time, or one too large, and the signal's reason. */
export async function callRest(
  url: URL,
  { way, timeoutMs, headers }: RestCall,
  signal: AbortSignal,
): Promise<{ readonly response: Response; readonly text: string }> {
  signal.throwIfAborted()
  const deadline = deadlineAfter(timeoutMs)
  try {
    const response = await fetch(url, {
      headers: { 'user-agent': 'tapeline', ...headers },
      signal: AbortSignal.any([signal, deadline]),
    })
    return { response, text: await readAnswer(response) }
  } catch (error) {
    if (signal.aborted) throw signal.reason
    const what = deadline.aborted ? `no answer within ${timeoutMs} ms` : reasonOf(error)
    throw new TapelineError('SOURCE_UNAVAILABLE', `${way}: ${what}`, { cause: error })
  }
}

/** The body of an answer as text. Raises where it is too large. */
async function readAnswer(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > MOST_BYTES) throw new Error('the answer is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/** How services answer who asks too often; who asks all the same is shut out by some. */
export const ASKED_TOO_OFTEN: ReadonlySet<number> = new Set([418, 429])

/** For how long a service that was asked too often wants no further calls: as it says, else a minute. */
export function retryAfterMs(headers: Headers): number {
  const seconds = Number(headers.get('retry-after'))
  return seconds > 0 ? Math.min(seconds * SECOND_MS, HOUR_MS) : MINUTE_MS
}

/** Why a call failed: `fetch` hides the reason in the cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  if (!(cause instanceof Error)) return String(cause)
  return cause.message || ('code' in cause ? String(cause.code) : cause.name)
}
