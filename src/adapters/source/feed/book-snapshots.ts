import { pause } from '../../../async/timers.ts'
import { callRest, restUrl } from './rest-call.ts'

/** From one call to the next, so that a hundred markets at once stay within any service's limits. */
const APART_MS = 250

/** Calls for snapshots of books, one after the other. */
export class BookSnapshots {
  readonly #address: URL
  readonly #timeoutMs: number
  readonly #heard: (url: string, body: string) => void
  #last: Promise<void> = Promise.resolve()

  /** `heard` is told of each answer. */
  constructor(address: URL, timeoutMs: number, heard: (url: string, body: string) => void = () => undefined) {
    this.#address = address
    this.#timeoutMs = timeoutMs
    this.#heard = heard
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
    const call = { way: 'snapshot', timeoutMs: this.#timeoutMs }
    const url = restUrl(this.#address, path)
    const { response, text } = await callRest(url, call, signal)
    if (!response.ok) throw new Error(`HTTP ${response.status}`)
    this.#heard(url.href, text)
    return JSON.parse(text)
  }
}
