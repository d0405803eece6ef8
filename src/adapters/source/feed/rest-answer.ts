/** Larger than any answer to our calls; a larger one is cut off. */
const MOST_BYTES = 16 * 1024 * 1024

const SECOND_MS = 1_000
const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000

/** The body of an answer as text. Raises where it is too large. */
export async function readAnswer(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > MOST_BYTES) throw new Error('the answer is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/** For how long a service that was asked too often wants no further calls: as it says, else a minute. */
export function retryAfterMs(headers: Headers): number {
  const seconds = Number(headers.get('retry-after'))
  return seconds > 0 ? Math.min(seconds * SECOND_MS, HOUR_MS) : MINUTE_MS
}

/** Why a call failed: `fetch` hides the reason in the cause. */
export function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  if (!(cause instanceof Error)) return String(cause)
  if (cause instanceof SyntaxError) return 'the answer is not JSON'
  return cause.message || ('code' in cause ? String(cause.code) : cause.name)
}
