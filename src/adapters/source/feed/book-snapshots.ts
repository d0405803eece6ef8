import { deadlineAfter, pause } from '../../../async/timers.ts'

/** Larger than any book that we ask for. */
const MOST_BYTES = 16 * 1024 * 1024
/** From one call to the next, so that a hundred markets at once stay within any service's limits. */
const APART_MS = 250

/** Calls for snapshots of books, one after the other. */
export class BookSnapshots {
  readonly #address: URL
  readonly #timeoutMs: number
  #last: Promise<void> = Promise.resolve()

  constructor(address: URL, timeoutMs: number) {
    this.#address = address
    this.#timeoutMs = timeoutMs
  }

  /** The value of the answer. Rejects where there is none, or none that is JSON, and when the signal is aborted. */
  async get(path: string, signal: AbortSignal): Promise<unknown> {
    const turn = this.#last.then(() => this.#fetch(path, signal))
    this.#last = turn.then(
      () => pause(APART_MS, signal),
      () => pause(APART_MS, signal),
    )
    return turn
  }

  async #fetch(path: string, signal: AbortSignal): Promise<unknown> {
    signal.throwIfAborted()
    const url = this.#address.href.replace(/\/$/, '') + path
    const response = await fetch(url, {
      signal: AbortSignal.any([signal, deadlineAfter(this.#timeoutMs)]),
    })
    const chunks: Uint8Array[] = []
    let size = 0
    for await (const chunk of response.body ?? []) {
      size += chunk.length
      if (size > MOST_BYTES) throw new Error('the answer is too large')
      chunks.push(chunk)
    }
    if (!response.ok) throw new Error(`HTTP ${response.status}`)
    return JSON.parse(Buffer.concat(chunks).toString())
  }
}
