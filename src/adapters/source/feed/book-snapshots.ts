import { pause } from '../../../async/timers.ts'
import { ASKED_TOO_OFTEN, callRest, restUrl, retryAfterMs } from './rest-call.ts'

interface BookSnapshotsOptions {
  readonly address: URL
  readonly timeoutMs: number
  /** From one call to the next, so that a hundred markets at once stay within the service's limits. */
  readonly apartMs: number
  /** Is told of each answer. */
  readonly heard: ((url: string, body: string) => void) | undefined
}

/** Calls for snapshots of books, one after the other. */
export class BookSnapshots {
  readonly #options: BookSnapshotsOptions
  #last: Promise<void> = Promise.resolve()
  /** Before, the service wants no call. */
  #pausedUntil = 0

  constructor(options: BookSnapshotsOptions) {
    this.#options = options
  }

  /** The value of the answer. Rejects where there is none, or none that is JSON, and when the signal is aborted. */
  async get(path: string, signal: AbortSignal): Promise<unknown> {
    const turn = this.#last.then(() => this.#fetch(path, signal))
    const apart = () => pause(this.#options.apartMs, signal)
    this.#last = turn.then(apart, apart)
    return turn
  }

  async #fetch(path: string, signal: AbortSignal): Promise<unknown> {
    if (this.#pausedUntil > performance.now()) throw new Error('waiting for the rate limit to end')
    const { address, timeoutMs, heard } = this.#options
    const url = restUrl(address, path)
    const { response, text } = await callRest(url, { way: 'snapshot', timeoutMs }, signal)
    if (ASKED_TOO_OFTEN.has(response.status))
      this.#pausedUntil = performance.now() + retryAfterMs(response.headers)
    if (!response.ok) throw new Error(`HTTP ${response.status}`)
    heard?.(url.href, text)
    return JSON.parse(text)
  }
}
