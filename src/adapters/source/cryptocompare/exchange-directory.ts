import { toTapelineError } from '../../../errors.ts'
import type { Log } from '../../../ports/log.ts'
import type { ExchangeNames } from './exchange-names.ts'
import type { RestClient } from './rest-client.ts'

/** How soon the list is asked for again where it did not come. */
const ASK_AGAIN_MS = 60_000

interface DirectoryOptions {
  readonly client: RestClient
  readonly names: ExchangeNames
  readonly log: Log
}

/** The service's own list of exchanges: asked for once, and again with a later connection where it did not answer. */
export class ExchangeDirectory {
  readonly #options: DirectoryOptions
  readonly #stop = new AbortController()
  #isKnown = false
  #askedAt: number | undefined

  constructor(options: DirectoryOptions) {
    this.#options = options
  }

  /**
   * Asks for the list, unless it is known, or was asked for a moment ago. Gives whether it asks; then it calls `settled` when the
   * names are learned, or do not come.
   */
  ask(settled: () => void): boolean {
    const now = performance.now()
    if (this.#isKnown || this.#stop.signal.aborted) return false
    if (this.#askedAt !== undefined && now - this.#askedAt < ASK_AGAIN_MS) return false
    this.#askedAt = now
    void this.#load().then(() => {
      if (!this.#stop.signal.aborted) settled()
    })
    return true
  }

  close(): void {
    this.#stop.abort()
  }

  async #load(): Promise<void> {
    const { client, names, log } = this.#options
    try {
      names.learn(await client.exchanges(this.#stop.signal))
      this.#isKnown = true
    } catch (error) {
      const { code, message } = toTapelineError(error, 'SOURCE_UNAVAILABLE')
      log.debug(
        { code, reason: message },
        "the service's list of exchanges did not come; the known names are used",
      )
    }
  }
}
